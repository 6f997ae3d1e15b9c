"""Reloading: what a person changed in the config file is put in force, whole or not at all."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from collector.config.files import placed
from collector.config.following import following_problems
from collector.errors import CollectorError, ConfigError
from collector.status.status import ConfigState
from collector.supervision.edits import Changes, changes_between, merge
from collector.supervision.watching import watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.config import CollectorServiceConfig
    from collector.config.config_file import ConfigFile
    from collector.supervision.checks import Checks
    from collector.supervision.orders import Orders

_log = structlog.get_logger()
_in_thread = trio.to_thread.run_sync


class Reload:
    """Puts edits of the config file in force, which ``apply`` does; ``state`` says which of them is."""

    def __init__(
        self,
        file: ConfigFile,
        checks: Checks,
        orders: Orders,
        running: Callable[[], CollectorServiceConfig],
        apply: Callable[[CollectorServiceConfig, trio.Nursery], Awaitable[None]],
    ) -> None:
        self.state = ConfigState(str(file.path), time.time())
        self._file = file
        self._checks = checks
        self._orders = orders
        self._running = running
        self._apply = apply
        self._one_at_a_time = trio.Lock()

    async def watch(self) -> None:
        """Put each edit of the config file in force within a moment; runs until cancelled."""
        await watch(self._file.path, self.try_reload)

    async def try_reload(self) -> None:
        """Put a person's edit of the config file in force; if it is wrong, say so in log and status."""
        with suppress(CollectorError):
            await self.reload()

    async def reload(self) -> Changes:
        """Put in force what a person changed in the config file, whole or not at all.

        Raises ConfigError with all that is wrong with it, EvaluationError if no worker can tell; nothing changes then.
        """
        async with self._one_at_a_time:
            try:
                changes = await self._apply_edits()
            except CollectorError as error:
                if str(error) != self.state.error:
                    _log.error(
                        "the edited config can't be used; the service goes on with the last one", error=str(error)
                    )
                self.state = replace(self.state, error=str(error))
                raise
            if self.state.error and not any(asdict(changes).values()):
                _log.info("the config file is sound again; nothing in it has changed")
            self.state = replace(self.state, error="")
            return changes

    async def _apply_edits(self) -> Changes:
        changes = None
        while changes is None:
            body = await _in_thread(self._file.read)
            if body == self._file.body:
                return Changes()
            edited = await _in_thread(self._file.parse, body)
            await self._check(edited, body)
            changes = await self._orders.give(partial(self._apply_edit, body, edited))
        told = {name: names for name, names in asdict(changes).items() if names}
        _log.info("the edited config is in force", **told)
        return changes

    async def _check(self, edited: CollectorServiceConfig, body: bytes) -> None:
        running = self._running()
        merged = merge(edited, self._file.config, running)
        wanted = merged.collectors
        problems = following_problems(wanted)  # clients may have changed other collectors meanwhile
        for key, config in wanted.items():
            known, private = running.collectors.get(key), merged.private_of(config)
            if known is not None and private != running.private_of(known):  # a follower has the columns of its leader
                known = None
            if config != known:
                found = await self._checks.find_problems(config, wanted.values(), known=known, private=private)
                problems += [problem.under("collectors", key) for problem in found]
        if edited.alerts != running.alerts:
            from collector.alerts.checking import find_problems

            problems += await find_problems(edited)
        if problems:
            raise placed(ConfigError(problems, str(self._file.path)), body)

    async def _apply_edit(self, body: bytes, edited: CollectorServiceConfig, nursery: trio.Nursery) -> Changes | None:
        """Put a checked edit in force; return None, having done nothing, if the file has been edited again."""
        if await _in_thread(self._file.read) != body:
            return None
        running = self._running()
        wanted = merge(edited, self._file.config, running)
        # clients may have changed other collectors since the check
        if problems := following_problems(wanted.collectors):
            raise placed(ConfigError(problems, str(self._file.path)), body)
        changes = changes_between(running, wanted, edited)
        self._file.hold(body, edited)
        await self._apply(wanted, nursery)
        self.state = ConfigState(str(self._file.path), time.time(), needs_restart=changes.needs_restart)
        return changes
