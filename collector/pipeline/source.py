"""Where a collector's events come from, as its pipeline sees it: posts that are ours, or a log such as Kafka.

Events that are posted are here once they are answered for, and nobody else has them. Those that are fetched from a log
may be another service's a moment later, and stay in the log until their snapshot is delivered.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import trio
import uuid6

from collector.errors import NotReady

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

    from collector.formats.frames import Format
    from collector.pipeline.work import Work
    from collector.status.status import Status
    from collector.store.records import Batch, Cut


_UNREAD = "takes its events from Kafka, and the service was started without kafka in its config: restart it"


class Gateway(Protocol):
    """The way of posted events to where a collector fetches its events from."""

    topic: str

    async def pass_on(self, format_: Format, body: bytes) -> None:
        """Have the rows of a body kept there; return once they are, all of them.

        Raises BadBody, BadMediaType, BodyTooLarge, NotReady.
        """


class Source:
    """Where one collector's events come from. This one: clients post them, and they stay here."""

    # sends posted events to where the collector fetches them from; None if posted events stay here
    gateway: Gateway | None = None

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the collector work while its events are its own; runs until cancelled."""
        await work()

    def name_batch(self, db: sqlite3.Connection, collector: str, cut: Cut) -> Cut:  # noqa: ARG002
        """Name a batch that is being cut, in the transaction that does it: here, by an id that sorts by time."""
        return replace(cut, batch=str(uuid6.uuid7()))

    @property
    def is_full(self) -> bool:
        """Whether no further batch may be sealed for now."""
        return False

    async def wait_for_room(self) -> None:
        """Return once a further batch may be sealed."""
        await trio.lowlevel.checkpoint()

    def note_change(self) -> None:
        """Hear that a batch was sealed, delivered or given up."""

    async def give_up(self, batch: Batch, error: str) -> None:  # noqa: ARG002
        """Hear that a batch will never be a snapshot, before it counts as failed."""
        await trio.lowlevel.checkpoint()

    def sending(self) -> AbstractAsyncContextManager[None]:
        """Hold the collector here while a snapshot is sent; raises DeliveryError if that can't be had for now."""
        return nullcontext()

    def is_inherited(self, batch_id: str) -> bool:  # noqa: ARG002
        """Tell whether another may have delivered a batch already."""
        return False

    def check_here(self) -> None:
        """Raise what a client is answered if the collector isn't at work here."""

    def shown(self, status: Status) -> Status:
        """Return how the collector stands, with what the source has to say."""
        return status


class Sources(Protocol):
    """Tells where collectors' events come from."""

    def source_of(self, work: Work) -> Source:
        """Return the source of a collector's events, for its pipeline."""


class _Unread(Source):
    """The events of a collector that got its Kafka settings after the start: they are read from the next start on."""

    def __init__(self, collector_id: str) -> None:
        self._id = collector_id

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:  # noqa: ARG002
        """Do nothing until cancelled."""
        await trio.sleep_forever()

    def check_here(self) -> None:
        """Raise NotReady."""
        raise NotReady(f"'{self._id}' {_UNREAD}")

    def shown(self, status: Status) -> Status:
        """Say that a restart is needed."""
        return replace(status, state="misconfigured", problems=(_UNREAD,))


@dataclass(frozen=True)
class OnlyPosted:
    """The sources of a service that fetches no events."""

    def source_of(self, work: Work) -> Source:
        """Return the one source there is; none for events that are to be fetched."""
        return Source() if work.config.kafka is None else _Unread(work.id)
