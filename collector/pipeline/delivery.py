"""Delivery: how a snapshot gets into a workspace, once.

A directory is written by a worker. A service is spoken to here, over HTTP that can be cancelled and has time-outs;
Evidently's own client has neither. The modern service makes up the snapshot's id itself, so after a try whose answer
was lost the next one first looks for the batch among the project's snapshots.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from collector.errors import ConfigError, DeliveryError, DeliveryRefused, EvaluationError, SnapshotTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from collector.config import CollectorConfig
    from collector.pipeline.workers import Workers
    from collector.store.statements import Batch

# A snapshot of 10 MB on a slow line; a workspace that drips is given up after this.
TIMEOUT = 300.0
SILENCE = 60.0

_TOKEN_HEADER = "X-Evidently-Token"  # noqa: S105  (names, as evidently.ui.workspace has them)
_TOKEN_COOKIE = "app.at"  # noqa: S105
_SECRET_HEADER = "evidently-secret"  # noqa: S105


@asynccontextmanager
async def open_delivery(workers: Workers, base: Path) -> AsyncIterator[Delivery]:
    """Give a way to workspaces; its connections are closed with the block."""
    delivery = Delivery(workers, base)
    try:
        yield delivery
    finally:
        with trio.move_on_after(1, shield=True):
            await delivery.aclose()


class Delivery:
    """Takes snapshots to workspaces; projects named rather than numbered are found, or made, once each."""

    def __init__(self, workers: Workers, base: Path) -> None:
        self._workers = workers
        self._base = base
        self._client: httpx.AsyncClient | None = None
        self._projects: dict[tuple[str, str, str], str] = {}
        self._naming = trio.Lock()
        self._jwt: dict[str, str] = {}

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

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

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
        is_modern = batch.outcome["generation"] == "modern"
        project = config.project_id or await self._find_project(config, is_modern=is_modern)
        if is_modern and is_doubtful and (await self._find_snapshot(config, project, batch.id)) is not None:
            return
        body = await trio.to_thread.run_sync(snapshot.read_bytes)
        path = f"/api/v2/snapshots/{project}" if is_modern else f"/api/projects/{project}/snapshots"
        response = await self._request(config, "POST", path, content=body, headers={"Content-Type": "application/json"})
        _raise_for(response, config, project, batch.outcome["generation"])
        if batch.outcome["datasets"]:
            snapshot_id = response.json()["snapshot_id"] if is_modern else batch.outcome["report_id"]
            await self._send_datasets(config, project, snapshot_id, batch.outcome["datasets"])

    async def _find_snapshot(self, config: CollectorConfig, project: str, batch_id: str) -> str | None:
        response = await self._request(config, "GET", f"/api/projects/{project}/snapshots")
        _raise_for(response, config, project, "modern")
        return next((item["id"] for item in response.json() if item["metadata"].get("batch_id") == batch_id), None)

    async def _find_project(self, config: CollectorConfig, *, is_modern: bool) -> str:
        name = str(config.project_name)
        generation = "modern" if is_modern else "legacy"
        async with self._naming:  # two collectors of one project name make one project
            known = self._projects.get((config.api_url, generation, name))
            if known is None:
                known = await self._search_project(config, name) or await self._make_project(config, name, generation)
                self._projects[config.api_url, generation, name] = known
            return known

    async def _search_project(self, config: CollectorConfig, name: str) -> str | None:
        from urllib.parse import quote

        response = await self._request(config, "GET", f"/api/projects/search/{quote(name, safe='')}")
        _raise_for(response, config, name, "either")
        return next((str(project["id"]) for project in response.json() if project["name"] == name), None)

    async def _make_project(self, config: CollectorConfig, name: str, generation: str) -> str:
        path = "/api/v2/projects" if generation == "modern" else "/api/projects"
        response = await self._request(config, "POST", path, json={"name": name})
        _raise_for(response, config, name, generation)
        made = response.json()
        return str(made["id"] if isinstance(made, dict) else made)

    async def _send_datasets(
        self, config: CollectorConfig, project: str, snapshot_id: str, datasets: list[dict[str, Any]]
    ) -> None:
        raise NotImplementedError

    # Requests

    async def _request(self, config: CollectorConfig, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = await self._request_once(config, method, path, arguments)
        if response.status_code == 401 and self._jwt.pop(config.api_url, None) is not None:  # it may have expired
            response = await self._request_once(config, method, path, arguments)
        return response

    async def _request_once(
        self, config: CollectorConfig, method: str, path: str, arguments: dict[str, Any]
    ) -> httpx.Response:
        headers = {**arguments.get("headers", {}), **await self._credentials(config)}
        return await self._http(config, method, path, {**arguments, "headers": headers})

    async def _credentials(self, config: CollectorConfig) -> dict[str, str]:
        """Give the headers that let us in: a service's secret; a key of Evidently Cloud; or a login's token."""
        secret = config.secret()
        if config.workspace_kind == "service":
            return {} if secret is None else {_SECRET_HEADER: secret}
        if secret is None:
            raise ConfigError.at("Evidently Cloud needs a key; write it, or ${NAME}", "api_secret")
        if secret.startswith("sk_") and secret.count(".") >= 2:
            return {"Authorization": f"Bearer {secret}"}
        if config.api_url not in self._jwt:
            response = await self._http(config, "GET", "/api/users/login", {"headers": {_TOKEN_HEADER: secret}})
            _raise_for(response, config, "login", "either")
            self._jwt[config.api_url] = response.text
        return {"Cookie": f"{_TOKEN_COOKIE}={self._jwt[config.api_url]}"}

    async def _http(self, config: CollectorConfig, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=SILENCE, trust_env=True)
        try:
            return await self._client.request(method, config.api_url.rstrip("/") + path, **arguments)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as error:
            raise DeliveryError(f"{config.api_url} can't be reached: {_reason(error)}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"{config.api_url} didn't answer: {_reason(error)}"
            raise DeliveryError(message, is_ambiguous=True) from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _raise_for(response: httpx.Response, config: CollectorConfig, project: str, generation: str) -> None:
    """Translate a refusal to what the operator can do about it."""
    status = response.status_code
    if status < 400:
        return
    said = f"{config.api_url} answered {status}{_detail(response)}"
    if status == 413:
        raise SnapshotTooLarge(f"{said}: the snapshot is over its body limit")
    if status in {401, 403}:
        raise DeliveryRefused(f"{said}: it doesn't take this api_secret; give it the right one")
    if status == 404:
        raise DeliveryRefused(f"{said}: it has no project '{project}'; make it there, or give a project_name")
    if status == 405:
        service = "evidently ui" if generation == "modern" else "evidently legacy_ui"
        raise DeliveryRefused(f"{said}: it doesn't take {generation} snapshots; api_url must lead to an '{service}'")
    if status in {408, 425, 429, 503}:
        raise DeliveryError(said, retry_after=_retry_after(response))
    if status >= 500:
        raise DeliveryError(said, is_ambiguous=True)
    raise DeliveryRefused(said)


def _detail(response: httpx.Response) -> str:
    try:
        data = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return ""
    return f" ({str(data['detail'])[:300]})" if isinstance(data, dict) and "detail" in data else ""


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return min(float(text), 3600.0) if text.isdigit() else 0.0
