"""The workspace of a collector: what each kind can do, and which kind an address leads to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from collector.web.clients import open_clients
from collector.workspaces.cloud import Cloud
from collector.workspaces.directory import Directory
from collector.workspaces.http import Connections
from collector.workspaces.service import Projects, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from collector.config import CollectorConfig
    from collector.dashboard import Tab
    from collector.errors import Problem
    from collector.workers.pool import Workers
    from collector.workspaces.outgoing import Outgoing
    from collector.workspaces.progress import Progress


class Workspace(Protocol):
    """Where one collector's snapshots go."""

    @property
    def starting_time(self) -> float:
        """Seconds that a delivery may take longer than it would, as it needs a new process."""

    async def problems(self, others: Iterable[CollectorConfig]) -> list[Problem]:
        """Return what keeps snapshots from going there, or would do harm beside those of other collectors."""

    async def deliver(self, outgoing: Outgoing, progress: Progress) -> None:
        """Put a snapshot into it; raise DeliveryError if it isn't there for sure."""

    async def remove_twins(self) -> int:
        """Remove what is there twice of a batch: the later of two that were sent under one id; return how many.

        Raises DeliveryError if it can't be told.
        """

    async def show(self, tab: Tab, *, is_asked: bool) -> bool:
        """Put a collector's panels into the dashboard of its project, which has snapshots of it.

        Returns False if the dashboard was left as a person made it; ``is_asked``: somebody wants them beside those.
        Raises DeliveryError if they aren't there.
        """


class Workspaces:
    """Opens workspaces, which share their connections and the projects that were found by name."""

    def __init__(self, workers: Workers, base: Path, connections: Connections) -> None:
        self._workers = workers
        self._base = base
        self._connections = connections
        self._projects = Projects()

    def open_workspace(self, config: CollectorConfig) -> Workspace:
        """Return the workspace that a collector's config names; this costs nothing and asks nobody."""
        directory = config.workspace_directory(self._base)
        if directory is not None:
            return Directory(config, self._workers, directory, self._base)
        if config.takes_datasets:
            return Cloud(config, self._connections, self._projects, self._workers)
        return Service(config, self._connections, self._projects)


@asynccontextmanager
async def open_workspaces(workers: Workers, base: Path) -> AsyncIterator[Workspaces]:
    """Return what opens workspaces, relative ones at ``base``; their connections are closed with the block."""
    async with open_clients() as clients:
        yield Workspaces(workers, base, Connections(clients))
