"""A service: an ``evidently ui`` or ``legacy_ui`` that is sent snapshots over HTTP, each once.

The modern service makes up the snapshot's id itself, so after a try whose answer was lost the next one first looks for
the batch among the project's snapshots. A legacy snapshot carries its own id, so sending it again does no harm.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote

import msgspec
import trio

from collector.dashboard import Placing
from collector.errors import ConfigError, DeliveryError, DeliveryRefused, SnapshotRejected
from collector.workspaces.http import raise_for, read_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable
    from pathlib import Path

    import httpx

    from collector.config import CollectorConfig
    from collector.dashboard import Tab
    from collector.errors import Problem
    from collector.generation import Generation
    from collector.workspaces.http import Connections
    from collector.workspaces.outgoing import Outgoing
    from collector.workspaces.progress import Progress

T = TypeVar("T")

# The routes that make projects.
_ROUTES: dict[Generation, str] = {"modern": "/api/v2/projects", "legacy": "/api/projects"}
# The header that evidently.ui.workspace uses.
_SECRET_HEADER = "evidently-secret"  # noqa: S105
_GONE = 404

# An id becomes part of a path.
Id = Annotated[str, msgspec.Meta(pattern=r"\A(?!\.\.?\Z)[\w.~-]+\Z")]


class Made(msgspec.Struct):
    """What a service answers that has made a project or a dataset."""

    id: Id


class _Sent(msgspec.Struct):
    snapshot_id: str


class _Project(msgspec.Struct):
    id: Id
    name: Any = None


class _Listed(msgspec.Struct):
    """A snapshot in a project's list."""

    id: str
    metadata: dict[str, Any] | None = None


class Projects:
    """Ids of projects that are named rather than numbered: found, or made, once each."""

    def __init__(self) -> None:
        self._ids: dict[object, str] = {}
        self._naming: defaultdict[object, trio.Lock] = defaultdict(trio.Lock)
        # one change at a time of what is read and then written
        self.changing: defaultdict[object, trio.Lock] = defaultdict(trio.Lock)

    async def find(self, key: object, search: Callable[[], Awaitable[str]]) -> str:
        """Return the id that is known, or search for it; two collectors of one project name make one project."""
        async with self._naming[key]:
            if key not in self._ids:
                self._ids[key] = await search()
            return self._ids[key]

    def has(self, key: object) -> bool:
        """Tell whether an id is known."""
        return key in self._ids

    def forget(self, key: object) -> None:
        """Have an id searched for again."""
        self._ids.pop(key, None)


class Service:
    """A service as one collector speaks to it."""

    starting_time = 0.0
    # The UI that anyone can install refuses a second tab, even one of its user's. So its panels are in no tab.
    _has_tabs = False

    def __init__(self, config: CollectorConfig, connections: Connections, projects: Projects) -> None:
        self._config = config
        self._connections = connections
        self._projects = projects

    async def problems(self, others: Iterable[CollectorConfig]) -> list[Problem]:  # noqa: ARG002
        """Return what is wrong with its address; it refuses by itself what would do harm there."""
        await trio.lowlevel.checkpoint()
        return self._config.workspace_problems()

    async def deliver(self, outgoing: Outgoing, progress: Progress) -> None:
        """Send the snapshot, unless the service has it; raise DeliveryError if it may not have it."""
        key = self._key(_ROUTES[outgoing.generation])
        is_remembered = self._projects.has(key)
        try:
            await self._try(outgoing, progress)
        except DeliveryRefused:
            if not is_remembered:
                raise
            self._projects.forget(key)  # the project was found by its name, and may have been deleted since
            await self._try(outgoing, progress)

    async def _try(self, outgoing: Outgoing, progress: Progress) -> None:
        project = await self._project(_ROUTES[outgoing.generation])
        await self._remove_replaced(outgoing, progress, project)
        send = self._send_modern if outgoing.generation == "modern" else self._send_legacy
        await send(outgoing, progress, project)

    async def remove_twins(self) -> int:
        """Remove all but the first of the snapshots that this collector has of one batch; return how many.

        A legacy snapshot brings its own id, which is its batch's: there are none.
        """
        if self._config.report_config.generation == "legacy":
            await trio.lowlevel.checkpoint()
            return 0
        project = await self._project(_ROUTES["modern"])
        listed = await self._listed(project)
        seen, twins = set(), []
        for one in sorted(listed, key=lambda one: one.id):  # the service's ids sort by time
            told = one.metadata or {}
            if told.get("collector") != self._config.id or "batch_id" not in told:
                continue
            key = told["batch_id"], told.get("report"), told.get("segment")
            twins += [one.id] if key in seen else []
            seen.add(key)
        await self._remove_snapshots(project, twins)
        return len(twins)

    async def show(self, tab: Tab, *, is_asked: bool) -> bool:
        """Put a collector's panels into its project's dashboard, by reading it, writing it, and reading it again."""
        path = f"/api/v2/dashboards/{await self._project(_ROUTES['modern'])}"
        placing = Placing(tab, is_asked=is_asked, is_tabbed=self._has_tabs)
        async with self._projects.changing[self._config.api_url, path]:
            try:
                while (wanted := placing.to_write(await self._ask(dict[str, Any], "GET", path))) is not None:
                    raise_for(await self._send("POST", path, json=wanted), self._config)
            except ValueError as error:
                raise DeliveryRefused(f"{self._config.shown_url}: {error}") from error
        return not placing.is_left_alone

    async def _remove_replaced(self, outgoing: Outgoing, progress: Progress, project: str) -> None:
        """Remove the snapshots of the batches that this one replaces; only once, as its own id may be one of theirs."""
        if not outgoing.replaces or progress.is_cleared:
            return
        await self._remove_snapshots(project, await self._find_snapshots(project, outgoing.replaces))
        await progress.keep(is_cleared=True)

    async def _remove_snapshots(self, project: str, snapshot_ids: Iterable[str]) -> None:
        for snapshot_id in snapshot_ids:
            response = await self._send("DELETE", f"/api/projects/{project}/{snapshot_id}")
            if response.status_code != _GONE:
                raise_for(response, self._config)

    # Of each generation

    async def _send_modern(self, outgoing: Outgoing, progress: Progress, project: str) -> None:
        snapshot_id = progress.snapshot_id
        if snapshot_id is None and progress.is_doubtful:
            snapshot_id = await self._find_snapshot(project, outgoing)
        if snapshot_id is None:
            snapshot_id = await self._post_modern(project, outgoing.path, progress)
        await self._follow_modern(outgoing, progress, project, snapshot_id)

    async def _post_modern(self, project: str, snapshot: Path, progress: Progress) -> str:
        """Send a snapshot. Until it is known whether the workspace has it, the doubt is kept on disk."""
        await progress.keep(is_doubtful=True)
        try:
            response = await self._post(f"/api/v2/snapshots/{project}", snapshot, progress)
        except DeliveryError as error:
            if not error.is_ambiguous:
                await progress.keep(is_doubtful=False)
            raise
        return (await read_as(_Sent, response, self._config)).snapshot_id

    async def _follow_modern(self, outgoing: Outgoing, progress: Progress, project: str, snapshot_id: str) -> None:
        """Send what has to follow a snapshot: nothing, for this kind of service."""

    async def _send_legacy(self, outgoing: Outgoing, progress: Progress, project: str) -> None:
        await self._precede_legacy(outgoing, progress, project)
        response = await self._post(f"/api/projects/{project}/snapshots", outgoing.path, progress)
        if response.content:  # Evidently's own service answers nothing; a web server that isn't one answers a page
            await read_as(msgspec.Raw, response, self._config)

    async def _precede_legacy(self, outgoing: Outgoing, progress: Progress, project: str) -> None:
        """Send what a snapshot refers to: nothing, for this kind of service."""

    async def _post(self, path: str, snapshot: Path, progress: Progress) -> httpx.Response:
        body = await trio.to_thread.run_sync(snapshot.read_bytes)
        async with progress.sending():
            response = await self._send("POST", path, content=body, headers={"Content-Type": "application/json"})
        if response.status_code in {400, 422}:
            said = f"{self._config.shown_url} answered {response.status_code} to it"
            raise SnapshotRejected(f"{said}: {response.text[:300]}")
        raise_for(response, self._config)
        return response

    # Projects

    def _key(self, route: str) -> tuple[str, str | None, str, str]:
        return self._config.api_url, self._config.api_secret, route, str(self._config.project_name)

    async def _project(self, route: str) -> str:
        """Return the id of the config's project; if it is given by name and missing, POST it to ``route``."""
        name = self._config.project_name

        async def search() -> str:
            found = await self._ask(list[_Project], "GET", f"/api/projects/search/{quote(str(name), safe='')}")
            known = next((project.id for project in found if project.name == name), None)
            return known or await make()

        async def make() -> str:
            made = await self._ask(Made | Id, "POST", route, json={"name": name})  # type: ignore[arg-type]  # msgspec takes unions
            return made.id if isinstance(made, Made) else made

        return self._config.project_id or await self._projects.find(self._key(route), search)

    async def _find_snapshot(self, project: str, outgoing: Outgoing) -> str | None:
        listed = await self._listed(project)
        return next((one.id for one in listed if outgoing.is_described_by(one.metadata or {})), None)

    async def _find_snapshots(self, project: str, batch_ids: Collection[str]) -> list[str]:
        listed = await self._listed(project)
        return [one.id for one in listed if (one.metadata or {}).get("batch_id") in batch_ids]

    async def _listed(self, project: str) -> list[_Listed]:
        return await self._ask(list[_Listed], "GET", f"/api/projects/{project}/snapshots", is_listing=True)

    # Requests

    async def _ask(self, kind: type[T], method: str, path: str, **arguments: Any) -> T:
        """Send a request and return what its good answer holds; raise DeliveryError for any other answer."""
        response = await self._send(method, path, **arguments)
        raise_for(response, self._config)
        return await read_as(kind, response, self._config)

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request with what lets us in; return its answer, good or bad."""
        headers = {**arguments.pop("headers", {}), **await self._credentials()}
        return await self._connections.exchange(self._config, method, path, headers=headers, **arguments)

    async def _credentials(self) -> dict[str, str]:
        secret = self._secret()
        return {} if secret is None else {_SECRET_HEADER: secret}

    def _secret(self) -> str | None:
        try:
            return self._config.secret()
        except ConfigError as error:
            raise DeliveryRefused(str(error)) from error
