"""The bulkhead around what runs for ever: a pipeline, and whatever else has ``run`` and ``status``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog
import trio

from collector.errors import StorageError
from collector.waiting.backoff import LONGEST, Backoff

if TYPE_CHECKING:
    from collector.status.counts import Restarts
    from collector.status.status import Status
    from collector.store.journal import Journal

# Seconds before a restart after the disk refused something: it works again as soon as there is room.
STORAGE_PAUSE = 2.0


class Runs(Protocol):
    """What runs until it is cancelled, and can be restarted after it failed."""

    @property
    def counts(self) -> Restarts:
        """What is counted of it."""

    def status(self) -> Status:
        """Return its status."""

    async def run(self) -> None:
        """Run until cancelled."""


R = TypeVar("R", bound=Runs)


class Bulkhead(Generic[R]):
    """Errors of ``inside`` end here: it is restarted, and nothing else is affected."""

    def __init__(self, inside: R, journal: Journal) -> None:
        self.inside = inside
        self.is_stopped = False
        self._journal = journal
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._crash = ""
        self._log = structlog.get_logger().bind(collector=inside.status().id)

    def status(self) -> Status:
        """Return its status."""
        status = self.inside.status()
        return replace(status, state="crashed", last_error=self._crash) if self._crash else status

    async def run(self) -> None:
        """Run it until it is stopped."""
        try:
            with self._scope:
                await self._run_again_and_again()
        except Exception as error:  # noqa: BLE001  (an error raised while stopping arrives here, beside Cancelled)
            self._log.error("failed while it was being stopped", exc_info=error)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Stop it; returns once it has ended."""
        self.is_stopped = True
        self._scope.cancel()
        await self._ended.wait()

    async def _run_again_and_again(self) -> None:
        backoff = Backoff()
        while True:
            started = trio.current_time()
            try:
                await self.inside.run()
            except Exception as error:  # noqa: BLE001  (the bulkhead)
                if trio.current_time() - started > LONGEST:
                    backoff.reset()
                first = _first(error)
                pause = STORAGE_PAUSE if isinstance(first, StorageError) else backoff.next()
                self._crash = f"{type(first).__name__}: {first}"
                self.inside.counts.restarts += 1
                self._log.error("stopped by an error; it is restarted soon", error=self._crash, seconds=round(pause, 1))
                self._log.debug("where it failed", exc_info=error)
                await trio.sleep(pause)
                await self._journal.wait_until_sound()
                self._crash = ""


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
