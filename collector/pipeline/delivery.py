"""Delivery: how a snapshot gets into a workspace, once.

A directory is written by a worker, a service is sent the snapshot over HTTP. The modern service makes up the snapshot's
id itself, so after a try whose answer was lost the next one first looks for the batch among the project's snapshots.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import trio

from collector.errors import ConfigError, DeliveryError, DeliveryRefused, EvaluationError
from collector.pipeline.service import Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from collector.config import CollectorConfig
    from collector.pipeline.workers import Workers
    from collector.store.statements import Batch

# A snapshot of 10 MB on a slow line; a workspace that drips is given up after this.
TIMEOUT = 300.0


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
        self._projects: dict[tuple[str, str, str], str] = {}
        self._naming: defaultdict[tuple[str, str, str], trio.Lock] = defaultdict(trio.Lock)

    async def deliver(self, config: CollectorConfig, batch: Batch, snapshot: Path, *, is_doubtful: bool) -> None:
        """Put the snapshot of a batch into its workspace; raise DeliveryError if it isn't there for sure."""
        try:
            if config.workspace_kind == "directory":
                await self._write(config, batch, snapshot)
            else:
                with trio.fail_after(TIMEOUT):
                    await self._send(config, batch, snapshot, is_doubtful=is_doubtful)
        except ConfigError as error:
            raise DeliveryRefused(str(error)) from error
        except trio.TooSlowError as error:
            message = f"{config.api_url} took longer than {TIMEOUT:g} s"
            raise DeliveryError(message, is_ambiguous=True) from error

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
        except EvaluationError as error:
            raise DeliveryError(str(error)) from error

    # A service

    async def _send(self, config: CollectorConfig, batch: Batch, snapshot: Path, *, is_doubtful: bool) -> None:
        if batch.outcome["generation"] == "modern":
            await self._send_modern(config, batch, snapshot, is_doubtful=is_doubtful)
        else:
            await self._send_legacy(config, batch, snapshot)

    async def _send_modern(self, config: CollectorConfig, batch: Batch, snapshot: Path, *, is_doubtful: bool) -> None:
        project = config.project_id or await self._find_project(config, "/api/v2/projects")
        snapshot_id = await self._find_snapshot(config, project, batch.id) if is_doubtful else None
        if snapshot_id is None:
            response = await self._post(config, f"/api/v2/snapshots/{project}", snapshot)
            snapshot_id = response.json()["snapshot_id"]
        for dataset in batch.outcome["datasets"]:
            await self._send_dataset(config, dataset, project_id=project, snapshot_id=snapshot_id)

    async def _send_legacy(self, config: CollectorConfig, batch: Batch, snapshot: Path) -> None:
        """Send a legacy snapshot; it carries its own id, so sending it again does no harm."""
        project = config.project_id or await self._find_project(config, "/api/projects")
        ids = {
            dataset["role"]: await self._send_dataset(config, dataset, project_id=project)
            for dataset in batch.outcome["datasets"]
        }
        if ids:
            await self._workers.link_datasets(snapshot, ids)
        await self._post(config, f"/api/projects/{project}/snapshots", snapshot)

    async def _post(self, config: CollectorConfig, path: str, snapshot: Path) -> Any:
        body = await trio.to_thread.run_sync(snapshot.read_bytes)
        headers = {"Content-Type": "application/json"}
        return await self._services.request(config, "POST", path, content=body, headers=headers)

    async def _send_dataset(self, config: CollectorConfig, dataset: dict[str, Any], **params: str) -> str:
        rows = await trio.to_thread.run_sync(Path(dataset["path"]).read_bytes)
        response = await self._services.request(
            config,
            "POST",
            dataset["url"],
            params={**dataset["params"], **params},
            data=dataset["form"],
            files={"file": (dataset["filename"], rows)},
        )
        answer = response.json()
        return str(answer["dataset_id"] if "dataset_id" in answer else answer["dataset"]["id"])

    async def _find_snapshot(self, config: CollectorConfig, project: str, batch_id: str) -> str | None:
        response = await self._services.request(config, "GET", f"/api/projects/{project}/snapshots")
        return next((item["id"] for item in response.json() if item["metadata"].get("batch_id") == batch_id), None)

    async def _find_project(self, config: CollectorConfig, route: str) -> str:
        """Give the id of the project with the config's name, made by a POST to ``route`` if there is none."""
        name = str(config.project_name)
        key = (config.api_url, route, name)
        async with self._naming[key]:  # two collectors of one project name make one project
            if key not in self._projects:
                self._projects[key] = await self._search(config, name) or await self._make(config, name, route)
            return self._projects[key]

    async def _search(self, config: CollectorConfig, name: str) -> str | None:
        response = await self._services.request(config, "GET", f"/api/projects/search/{quote(name, safe='')}")
        return next((str(project["id"]) for project in response.json() if project["name"] == name), None)

    async def _make(self, config: CollectorConfig, name: str, route: str) -> str:
        made = (await self._services.request(config, "POST", route, json={"name": name})).json()
        return str(made["id"] if isinstance(made, dict) else made)
