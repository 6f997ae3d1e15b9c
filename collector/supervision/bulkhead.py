"""Running: the bulkhead around a pipeline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
import trio

from collector.errors import StorageError
from collector.waiting.backoff import LONGEST, Backoff

if TYPE_CHECKING:
    from collector.pipeline.pipeline import Pipeline
    from collector.status.status import Status
    from collector.store.journal import Journal

# A pipeline that the disk refused is begun again soon: what it is at heals as soon as there is room.
STORAGE_PAUSE = 2.0


class Running:
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
        """Say how it stands."""
        status = self.pipeline.status()
        return replace(status, state="crashed", last_error=self._crash) if self._crash else status

    async def run(self) -> None:
        """Run the pipeline until it is stopped."""
        try:
            with self._scope:
                await self._run_again_and_again()
        except Exception as error:  # noqa: BLE001  (an error raised while stopping arrives here, beside Cancelled)
            self._log.error("pipeline failed while it was stopped", exc_info=error)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Stop the pipeline; returns once it has ended."""
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
                self.pipeline.counts.restarts += 1
                self._log.error("pipeline failed; it is begun again", error=self._crash, seconds=round(pause, 1))
                self._log.debug("where it failed", exc_info=error)
                await trio.sleep(pause)
                await self._journal.wait_until_sound()
                self._crash = ""


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> str:
    first = _first(error)
    return f"{type(first).__name__}: {first}"
