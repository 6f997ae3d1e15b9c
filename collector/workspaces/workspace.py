"""Delivery: how a snapshot gets into a workspace, once.

A directory is written by a worker, a service is sent the snapshot over HTTP. The modern service makes up the snapshot's
id itself, so after a try whose answer was lost the next one first looks for the batch among the project's snapshots.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import trio

from collector.errors import (
    ConfigError,
    DeliveryError,
    DeliveryRefused,
    EvaluationError,
    SnapshotRejected,
    SnapshotTooLarge,
)
from collector.workspaces.http import Services, json_of, not_evidently, raise_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import httpx

    from collector.config import CollectorConfig
    from collector.store.records import Batch
    from collector.workers.pool import Workers

_ProjectKey = tuple[str, str | None, str, str]

_MODERN_PROJECTS = "/api/v2/projects"
_LEGACY_PROJECTS = "/api/projects"


@dataclass
class Progress:
    """What of a batch its workspace has already; ``save`` keeps it on disk between tries.

    While it ``is_doubtful``, the snapshot may be there or not: a try was cut off, by a fault or by our own end.
    ``checksum`` is that of the snapshot's file once it was rewritten on the way.
    """

    save: Callable[[dict[str, Any]], Awaitable[None]]
    is_doubtful: bool = False
    snapshot_id: str | None = None
    datasets: dict[str, str] = field(default_factory=dict)
    checksum: int | None = None

    async def keep(self, **changes: Any) -> None:
        """Take changes over, and keep them."""
        for name, value in changes.items():
            setattr(self, name, value)
        names = ("is_doubtful", "snapshot_id", "datasets", "checksum")
        await self.save({name: getattr(self, name) for name in names})


@asynccontextmanager
async def open_delivery(workers: Workers, base: Path) -> AsyncIterator[Delivery]:
    """Give a way to workspaces; its connections are closed with the block."""
    services = Services()
    try:
        yield Delivery(workers, services, base)
    finally:
        with trio.move_on_after(1, shield=True):
            await services.aclose()


class Delivery:
    """Takes snapshots to workspaces; projects named rather than numbered are found, or made, once each."""

    def __init__(self, workers: Workers, services: Services, base: Path) -> None:
        self._workers = workers
        self._services = services
        self._base = base
        self._projects: dict[_ProjectKey, str] = {}
        self._naming: defaultdict[_ProjectKey, trio.Lock] = defaultdict(trio.Lock)

    async def deliver(self, config: CollectorConfig, batch: Batch, snapshot: Path, progress: Progress) -> None:
        """Put the snapshot of a batch into its workspace; raise DeliveryError if it isn't there for sure."""
        try:
            if config.workspace_kind == "directory":
                await self._write(config, batch, snapshot)
            else:
                await self._send(config, batch, snapshot, progress)
        except ConfigError as error:
            raise DeliveryRefused(str(error)) from error
        except EvaluationError as error:
            raise DeliveryError(str(error)) from error

    # A directory

    async def _write(self, config: CollectorConfig, batch: Batch, snapshot: Path) -> None:
        directory = config.workspace_directory(self._base)
        try:
            await self._workers.write_to_directory(
                {
                    "directory": str(directory),
                    "generation": batch.outcome["generation"],
                    "project_id": config.project_id,
                    "project_name": config.project_name,
                    "collector": config.id,
                    "snapshot_path": str(snapshot),
                    "batch_id": batch.id,
                }
            )
        except (OSError, ValueError) as error:
            raise DeliveryRefused(f"the workspace {directory} can't be written: {error}") from error

    # A service

    async def _send(self, config: CollectorConfig, batch: Batch, snapshot: Path, progress: Progress) -> None:
        is_modern = batch.outcome["generation"] == "modern"
        send = self._send_modern if is_modern else self._send_legacy
        key = _project_key(config, _MODERN_PROJECTS if is_modern else _LEGACY_PROJECTS)
        is_remembered = key in self._projects
        try:
            await send(config, batch, snapshot, progress)
        except DeliveryRefused:
            if not is_remembered:
                raise
            self._projects.pop(key, None)  # it was found by its name, and may have been deleted since
            await send(config, batch, snapshot, progress)

    async def _send_modern(self, config: CollectorConfig, batch: Batch, snapshot: Path, progress: Progress) -> None:
        project = config.project_id or await self._find_project(config, _MODERN_PROJECTS)
        snapshot_id = progress.snapshot_id
        if snapshot_id is None and progress.is_doubtful:
            snapshot_id = await self._find_snapshot(config, project, batch.id)
        if snapshot_id is None:
            snapshot_id = await self._post_modern(config, project, snapshot, progress)
        datasets = batch.outcome["datasets"]
        if datasets:
            await progress.keep(snapshot_id=snapshot_id)
        for dataset in datasets:
            await self._send_dataset(config, dataset, progress, project_id=project, snapshot_id=snapshot_id)

    async def _post_modern(self, config: CollectorConfig, project: str, snapshot: Path, progress: Progress) -> str:
        """Send a snapshot, with a doubt on disk for as long as it isn't known whether the workspace has it."""
        await progress.keep(is_doubtful=True)
        try:
            response = await self._post(config, f"/api/v2/snapshots/{project}", snapshot)
        except DeliveryError as error:
            if not error.is_ambiguous:
                await progress.keep(is_doubtful=False)
            raise
        return _field(json_of(response, config), "snapshot_id", config)

    async def _send_legacy(self, config: CollectorConfig, batch: Batch, snapshot: Path, progress: Progress) -> None:
        """Send a legacy snapshot; it carries its own id, so sending it again does no harm."""
        project = config.project_id or await self._find_project(config, _LEGACY_PROJECTS)
        for dataset in batch.outcome["datasets"]:
            await self._send_dataset(config, dataset, progress, project_id=project)
        if progress.datasets:
            await progress.keep(checksum=await self._workers.link_datasets(snapshot, dict(progress.datasets)))
        response = await self._post(config, f"/api/projects/{project}/snapshots", snapshot)
        if response.content:  # Evidently's own has nothing to say; a web server that isn't one has a page
            json_of(response, config)

    async def _post(self, config: CollectorConfig, path: str, snapshot: Path) -> httpx.Response:
        body = await trio.to_thread.run_sync(snapshot.read_bytes)
        headers = {"Content-Type": "application/json"}
        response = await self._services.send(config, "POST", path, content=body, headers=headers)
        if response.status_code in {400, 422}:
            raise SnapshotRejected(f"{config.shown_url} answered {response.status_code} to it: {response.text[:300]}")
        raise_for(response, config)
        return response

    async def _send_dataset(
        self, config: CollectorConfig, dataset: dict[str, Any], progress: Progress, **params: str
    ) -> None:
        if dataset["role"] in progress.datasets:
            return
        rows = await trio.to_thread.run_sync(Path(dataset["path"]).read_bytes)
        try:
            answer = await self._services.request_json(
                config,
                "POST",
                dataset["url"],
                params={**dataset["params"], **params},
                data=dataset["form"],
                files={"file": (dataset["filename"], rows)},
            )
        except SnapshotTooLarge as error:
            message = f"{error}: this one is a dataset; take save_datasets back, or make batches smaller"
            raise DeliveryError(message) from error
        is_legacy = isinstance(answer, dict) and "dataset_id" in answer
        made, name = (answer, "dataset_id") if is_legacy else (_part(answer, "dataset", config), "id")
        dataset_id = _field(made, name, config)
        await progress.keep(datasets={**progress.datasets, dataset["role"]: dataset_id})

    async def _find_snapshot(self, config: CollectorConfig, project: str, batch_id: str) -> str | None:
        listed = await self._services.request_json(config, "GET", f"/api/projects/{project}/snapshots")
        mine = (item for item in _objects(listed, config) if item.get("metadata", {}).get("batch_id") == batch_id)
        return next((_field(item, "id", config) for item in mine), None)

    async def _find_project(self, config: CollectorConfig, route: str) -> str:
        """Give the id of the project with the config's name, made by a POST to ``route`` if there is none."""
        name = str(config.project_name)
        key = _project_key(config, route)
        async with self._naming[key]:  # two collectors of one project name make one project
            if key not in self._projects:
                self._projects[key] = await self._search(config, name) or await self._make(config, name, route)
            return self._projects[key]

    async def _search(self, config: CollectorConfig, name: str) -> str | None:
        path = f"/api/projects/search/{quote(name, safe='')}"
        projects = _objects(await self._services.request_json(config, "GET", path), config)
        return next((_field(project, "id", config) for project in projects if project.get("name") == name), None)

    async def _make(self, config: CollectorConfig, name: str, route: str) -> str:
        made = await self._services.request_json(config, "POST", route, json={"name": name})
        return made if isinstance(made, str) else _field(made, "id", config)


def _project_key(config: CollectorConfig, route: str) -> _ProjectKey:
    return config.api_url, config.api_secret, route, str(config.project_name)


def _objects(answer: Any, config: CollectorConfig) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise not_evidently(config)
    return answer


def _part(answer: Any, name: str, config: CollectorConfig) -> Any:
    if not isinstance(answer, dict) or name not in answer:
        raise not_evidently(config)
    return answer[name]


def _field(answer: Any, name: str, config: CollectorConfig) -> str:
    return str(_part(answer, name, config))
