"""Evidently Cloud: a service with logins, the only one that takes the rows beside a snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from collector.errors import DeliveryError, DeliveryRefused, EvaluationError, SnapshotTooLarge
from collector.workspaces.http import raise_for
from collector.workspaces.service import Id, Made, Service

if TYPE_CHECKING:
    import httpx

    from collector.config import CollectorConfig
    from collector.workers.exchange import DatasetFile
    from collector.workers.pool import Workers
    from collector.workspaces.http import Connections
    from collector.workspaces.outgoing import Outgoing
    from collector.workspaces.progress import Progress
    from collector.workspaces.service import Projects

# The names that evidently.ui.workspace uses.
_TOKEN_HEADER = "X-Evidently-Token"  # noqa: S105
_TOKEN_COOKIE = "app.at"  # noqa: S105


class _Uploaded(msgspec.Struct):
    """The answer for an uploaded dataset, of the legacy route or of the modern one."""

    dataset_id: Id | None = None
    dataset: Made | None = None


class Cloud(Service):
    """Evidently Cloud as one collector speaks to it."""

    _has_tabs = True

    def __init__(self, config: CollectorConfig, connections: Connections, projects: Projects, workers: Workers) -> None:
        super().__init__(config, connections, projects)
        self._workers = workers
        self._jwt: dict[str, str] = {}

    # Signing in

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = await super()._send(method, path, **arguments)
        if response.status_code == 401 and self._jwt:  # the login may have expired
            self._jwt.clear()
            response = await super()._send(method, path, **arguments)
        return response

    async def _credentials(self) -> dict[str, str]:
        """Return the headers that let us in: a key itself, or what a login returns for an older token."""
        secret = self._secret()
        if secret is None:
            raise DeliveryRefused("api_secret: Evidently Cloud needs a key; write it, or ${NAME}")
        if secret.startswith("sk_") and secret.count(".") >= 2:
            return {"Authorization": f"Bearer {secret}"}
        if secret not in self._jwt:
            headers = {_TOKEN_HEADER: secret}
            response = await self._connections.exchange(self._config, "GET", "/api/users/login", headers=headers)
            raise_for(response, self._config)
            self._jwt[secret] = response.text
        return {"Cookie": f"{_TOKEN_COOKIE}={self._jwt[secret]}"}

    # Datasets

    async def _follow_modern(self, outgoing: Outgoing, progress: Progress, project: str, snapshot_id: str) -> None:
        datasets = outgoing.datasets
        if datasets:
            await progress.keep(snapshot_id=snapshot_id)
        for dataset in datasets:
            await self._send_dataset(dataset, progress, project_id=project, snapshot_id=snapshot_id)

    async def _precede_legacy(self, outgoing: Outgoing, progress: Progress, project: str) -> None:
        for dataset in outgoing.datasets:
            await self._send_dataset(dataset, progress, project_id=project)
        if progress.datasets:
            try:
                checksum = await self._workers.link_datasets(outgoing.path, dict(progress.datasets))
            except EvaluationError as error:
                raise DeliveryError(str(error)) from error
            await progress.keep(checksum=checksum)

    async def _send_dataset(self, dataset: DatasetFile, progress: Progress, **params: str) -> None:
        if dataset["role"] in progress.datasets:
            return
        rows = await trio.to_thread.run_sync(Path(dataset["path"]).read_bytes)
        try:
            uploaded = await self._ask(
                _Uploaded,
                "POST",
                dataset["url"],
                params={**dataset["params"], **params},
                data=dataset["form"],
                files={"file": (dataset["filename"], rows)},
            )
        except SnapshotTooLarge as error:
            message = f"{error}: this one is a dataset; set save_datasets to false, or make batches smaller"
            raise DeliveryError(message) from error
        made = uploaded.dataset_id or (uploaded.dataset and uploaded.dataset.id)
        if made is None:
            raise DeliveryRefused(f"{self._config.shown_url} accepted a dataset and didn't say under which id")
        await progress.keep(datasets={**progress.datasets, dataset["role"]: made})
