"""A directory as a workspace: a worker writes the files that a running ``evidently ui`` picks up by itself."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from collector.errors import DeliveryError, DeliveryRefused, EvaluationError, Problem
from collector.generation import apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from collector.config import CollectorConfig
    from collector.dashboard import Tab
    from collector.workers.exchange import Delivery, Place
    from collector.workers.pool import Workers
    from collector.workspaces.outgoing import Outgoing
    from collector.workspaces.progress import Progress

_PATIENCE = 10.0


class Directory:
    """A directory with projects; writing the same snapshot again changes nothing."""

    def __init__(self, config: CollectorConfig, workers: Workers, path: Path, base: Path) -> None:
        self._config = config
        self._workers = workers
        self._path = path
        self._base = base
        self._place: Place = {
            "directory": str(path),
            "project_id": config.project_id,
            "project_name": config.project_name,
            "collector": config.id,
        }

    @property
    def starting_time(self) -> float:
        """Seconds that a worker may take to start."""
        return self._workers.starting_time

    async def problems(self, others: Iterable[CollectorConfig]) -> list[Problem]:
        """Keep the generations apart: a UI that finds a snapshot of the other generation shows no project at all.

        What lies there decides; if that is nothing yet, or both, it is who is there among the other collectors.
        """
        if problems := self._config.workspace_problems():
            return problems
        mine = self._config.report_config.generation
        try:
            found = await self._workers.generations_in(self._path)
        except EvaluationError:  # the delivery will tell
            return []
        if found == {mine}:
            return []
        if found and mine not in found:
            return [Problem(("api_url",), f"{self._path} holds {', '.join(found)} snapshots; {apart(mine)}")]
        rival = None
        with trio.move_on_after(_PATIENCE):  # another collector's directory may be on a dead mount
            rival = await trio.to_thread.run_sync(self._find_rival, list(others), abandon_on_cancel=True)
        if rival is None:
            return []
        theirs = f"{self._path} is where the {rival.report_config.generation} snapshots of '{rival.id}' go"
        return [Problem(("api_url",), f"{theirs}; {apart(mine)}")]

    def _find_rival(self, others: list[CollectorConfig]) -> CollectorConfig | None:
        mine, here = self._config.report_config.generation, os.path.realpath(self._path)
        for other in others:
            theirs = other.workspace_directory(self._base)
            is_another = other.id != self._config.id and other.report_config.generation != mine
            if is_another and theirs is not None and os.path.realpath(theirs) == here:
                return other
        return None

    async def deliver(self, outgoing: Outgoing, progress: Progress) -> None:
        """Have a worker write the snapshot; raise DeliveryError if it couldn't."""
        delivery: Delivery = {
            **self._place,
            "generation": outgoing.generation,
            "snapshot_path": str(outgoing.path),
            "snapshot_id": outgoing.id,
            "replaces": list(outgoing.replaces),
        }
        with self._translated():
            async with progress.sending():
                await self._workers.write_to_directory(delivery)

    async def remove_twins(self) -> int:
        """Return 0: a batch has one file."""
        await trio.lowlevel.checkpoint()
        return 0

    async def show(self, tab: Tab, *, is_asked: bool) -> bool:
        """Have a worker write the dashboard; raise DeliveryError if it couldn't."""
        with self._translated():
            return await self._workers.write_dashboard(self._place, tab, is_asked=is_asked)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise DeliveryRefused(f"the workspace {self._path} can't be written: {error}") from error
        except EvaluationError as error:
            raise DeliveryError(str(error)) from error
