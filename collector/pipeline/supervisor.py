"""The supervisor: keeps exactly the pipelines running that the config asks for."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import outcome
import structlog
import trio

from collector import __version__
from collector.config import CollectorConfig
from collector.errors import CollectorError, ConfigConflict, ConfigError, StorageError, UnknownCollector
from collector.pipeline.backoff import LONGEST, Backoff
from collector.pipeline.pipeline import Pipeline
from collector.pipeline.status import ConfigState, ServiceStatus

if TYPE_CHECKING:
    from collector.config import CollectorServiceConfig
    from collector.pipeline.status import Status
    from collector.pipeline.work import Tools
    from collector.store.frames import Frame
    from collector.store.journal import Journal

T = TypeVar("T")

# A pipeline that the disk refused is begun again soon: what it is at heals as soon as there is room.
STORAGE_PAUSE = 2.0


class Supervisor:
    """Owns the configuration and the pipelines; changes of them are ordered and carried out one after the other.

    An order is carried out to its end even if the one who gave it is gone.
    """

    def __init__(self, config: CollectorServiceConfig, path: Path, tools: Tools) -> None:
        self.config = config.model_copy(update={"collectors": {}})
        self._wanted = config
        self._path = path
        self._saved = path.read_bytes() if path.exists() else b""
        self._tools = tools
        self._running: dict[str, _Running] = {}
        self._started = time.time()
        self._config_state = ConfigState(str(path), self._started)
        self._orders_in, self._orders_out = trio.open_memory_channel[_Order](0)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start what the config asks for, then carry out orders until cancelled."""
        async with trio.open_nursery() as nursery:
            await self._finish_forgetting()
            await self._apply(self._wanted, nursery)
            task_status.started()
            async for order in self._orders_out:
                order.result = await outcome.acapture(order.run, nursery)
                order.done.set()
                _raise_unexpected(order.result)

    def pipeline(self, collector_id: str) -> Pipeline:
        """Give the pipeline of a collector; raise UnknownCollector."""
        if collector_id not in self._running:
            raise UnknownCollector(collector_id)
        return self._running[collector_id].pipeline

    def service_status(self) -> ServiceStatus:
        """Say how the service and all collectors stand, these in the order of the config."""
        collectors = tuple(running.status() for running in self._running.values())
        trouble = self._tools.journal.trouble
        return ServiceStatus(__version__, self._started, time.time(), trouble, self._config_state, collectors)

    def status(self, collector_id: str) -> Status:
        """Say how one collector stands."""
        self.pipeline(collector_id)
        return self._running[collector_id].status()

    async def check(self, config: CollectorConfig) -> None:
        """Have Evidently check a collector's report; raise ConfigError with all that is wrong."""
        problems = await self._tools.workers.check(config)
        if problems:
            raise ConfigError(problems)

    async def put(self, config: CollectorConfig) -> None:
        """Add or replace a collector; its events stay."""
        await self._order(lambda nursery: self._take(self.config.with_collector(config), nursery))

    async def delete(self, collector_id: str) -> int:
        """Remove a collector with all its events; return how many undelivered rows went with it."""

        async def remove(nursery: trio.Nursery) -> int:
            self.pipeline(collector_id)
            await self._tools.journal.mark_forgotten(collector_id)
            try:
                await self._take(self.config.without_collector(collector_id), nursery)
            except CollectorError:
                await self._tools.journal.unmark_forgotten(collector_id)
                raise
            return await self._forget(collector_id)

        return await self._order(remove)

    async def _forget(self, collector_id: str) -> int:
        rows, parts, batches = await self._tools.journal.forget(collector_id)
        self._tools.data_dir.remove_batches(parts, batches)
        self._tools.data_dir.remove_references(collector_id, kept=0)
        return rows

    async def _finish_forgetting(self) -> None:
        """Bring to its end what a crash cut off: a collector that is in the config stays, one that isn't goes."""
        for collector_id in await self._tools.journal.forgotten():
            if collector_id in self._wanted.collectors:
                await self._tools.journal.unmark_forgotten(collector_id)
            else:
                await self._forget(collector_id)

    async def set_reference(self, collector_id: str, frame: Frame) -> None:
        """Make the rows of a frame the reference of a collector, from its next batch on."""
        path = self._tools.data_dir.new_reference(collector_id)
        await self._tools.workers.write_reference(frame, path)
        try:
            await self._order(lambda nursery: self._take_reference(collector_id, path, nursery))
        except CollectorError:
            path.unlink()
            raise

    async def _take_reference(self, collector_id: str, path: Path, nursery: trio.Nursery) -> None:
        config = self.pipeline(collector_id).config
        relative = path.relative_to(self._tools.base) if path.is_relative_to(self._tools.base) else path
        changed = config.model_copy(update={"reference_path": str(relative)})
        await self._take(self.config.with_collector(changed), nursery)
        self._tools.data_dir.remove_references(collector_id, spared=path)

    # Orders

    async def _order(self, run: Callable[[trio.Nursery], Awaitable[T]]) -> T:
        order = _Order(run)
        await self._orders_in.send(order)
        await order.done.wait()
        assert order.result is not None  # noqa: S101  (set before the event)
        try:
            result: T = order.result.unwrap()
        except OSError as error:
            raise StorageError(f"the data directory refused: {error}") from error
        return result

    async def _take(self, config: CollectorServiceConfig, nursery: trio.Nursery) -> None:
        """Save a changed config, then make it true; if it can't be saved, nothing changes."""
        if config == self.config:
            return
        if config.autosave:
            try:
                await trio.to_thread.run_sync(self._save, config)
            except OSError as error:
                raise StorageError(f"the config can't be saved to {self._path}: {error.strerror}") from error
        await self._apply(config, nursery)

    def _save(self, config: CollectorServiceConfig) -> None:
        if self._path.exists() and self._path.read_bytes() != self._saved:
            raise ConfigConflict(
                f"{self._path} was edited since the service read it, and saving this change would undo that; "
                "start the service again to take the edit, then repeat the change"
            )
        config.save(self._path)
        self._saved = self._path.read_bytes()

    async def _apply(self, config: CollectorServiceConfig, nursery: trio.Nursery) -> None:
        """Stop what is gone or changed, start what is new or changed, leave the rest alone."""
        for collector_id, running in self._running.items():
            wanted, had = config.collectors.get(collector_id), running.pipeline.config
            if wanted is not None and _differs_in_reference_only(wanted, had):
                running.pipeline.take_reference(wanted)
            elif wanted != had:
                await running.stop()
        started = {}
        for collector_id, wanted in config.collectors.items():
            if collector_id in self._running and not self._running[collector_id].is_stopped:
                started[collector_id] = self._running[collector_id]
            else:
                started[collector_id] = _Running(Pipeline(wanted, config, self._tools), self._tools.journal)
                nursery.start_soon(started[collector_id].run)
        self._running = started
        self.config = config


class _Running:
    """A pipeline and the bulkhead around it: its errors end here, it is begun again, and no other notices."""

    def __init__(self, pipeline: Pipeline, journal: Journal) -> None:
        self.pipeline = pipeline
        self._journal = journal
        self.is_stopped = False
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._crash = ""
        self._log = structlog.get_logger().bind(collector=pipeline.config.id)

    def status(self) -> Status:
        status = self.pipeline.status()
        return replace(status, state="crashed", last_error=self._crash) if self._crash else status

    async def run(self) -> None:
        try:
            with self._scope:
                await self._run_again_and_again()
        except Exception as error:  # noqa: BLE001  (an error raised while stopping arrives here, beside Cancelled)
            self._log.error("pipeline failed while it was stopped", exc_info=error)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        self.is_stopped = True
        self._scope.cancel()
        await self._ended.wait()

    async def _run_again_and_again(self) -> None:
        backoff = Backoff()
        while True:
            started = trio.current_time()
            try:
                await self.pipeline.run()
            except Exception as error:  # noqa: BLE001  (the bulkhead)
                if trio.current_time() - started > LONGEST:
                    backoff.reset()
                is_of_disk = isinstance(_first(error), StorageError)
                pause = STORAGE_PAUSE if is_of_disk else backoff.next()
                self._crash = _reason(error)
                self._log.error("pipeline failed; it is begun again", error=self._crash, seconds=round(pause, 1))
                self._log.debug("where it failed", exc_info=error)
                await trio.sleep(pause)
                await self._journal.wait_until_sound()
                self._crash = ""


class _Order:
    def __init__(self, run: Callable[[trio.Nursery], Awaitable[Any]]) -> None:
        self.run = run
        self.done = trio.Event()
        self.result: outcome.Outcome[Any] | None = None


def _differs_in_reference_only(wanted: CollectorConfig, had: CollectorConfig) -> bool:
    return wanted.model_copy(update={"reference_path": had.reference_path}) == had


def _raise_unexpected(result: outcome.Outcome[Any]) -> None:
    """Let through what no one who orders can answer for: Cancelled, and our own mistakes."""
    if isinstance(result, outcome.Error) and not isinstance(result.error, CollectorError | OSError):
        result.unwrap()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    first = _first(error)
    return f"{type(first).__name__}: {first}"
