"""Intake: what every source of events goes through, whatever it speaks: may they come, are they a table, keep them.

A source asks ``admit`` before it reads much, makes a frame of what it read (``check``), and ``order``s that to be kept.
Orders of one moment share a transaction; each is done once it says so, and ``finish`` tells what came of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import BadBody, BufferFull, CollectorError, IsFetched, NotReady, TooManyColumns
from collector.fault_points import reach
from collector.formats.bounds import Bounds
from collector.formats.frames import check_frame
from collector.ingest.columns import OpenColumns
from collector.ingest.room import max_bytes
from collector.store.streams import collector_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from collector.config import CollectorConfig, Limits
    from collector.formats.frames import Format, Frame
    from collector.formats.private import Private
    from collector.ingest.spool import Spool
    from collector.pipeline.pipeline import Pipeline
    from collector.pipeline.source import Gateway
    from collector.status.counts import Counts
    from collector.store.halves import Kept
    from collector.store.journal import Journal
    from collector.store.records import Logged, NewColumns, Taken, Whole
    from collector.store.writer import Order
    from collector.supervision.supervisor import Supervisor


_FULL = "{} bytes of {} are not delivered yet, which is the limit; nothing was kept, try again once some are delivered"
# Batches of a collector that may wait for their reports before no more whole batches are taken: the sender has to wait.
MAX_WAITING = 100


@dataclass(slots=True)
class Pending:
    """A frame that is ordered to be kept."""

    stream: str
    frame: Frame
    order: Order[bool]
    _spool: Spool
    _counts: Counts
    _passed: Sequence[tuple[Pipeline, str]] = ()  # the followers that skip these events, each with the reason

    async def wait_done(self) -> None:
        """Return once the order is done, whatever came of it."""
        await self.order.wait_done()

    def finish(self) -> bool:
        """Return whether the frame was new, or raise what hindered it from being kept; the order must be done."""
        try:
            is_new = self.order.value
        except CollectorError:
            self._spool.drop(self.frame)
            raise
        if not is_new:
            self._spool.drop(self.frame)
        for pipeline, why in self._passed if is_new else ():
            pipeline.note_skipped(self.frame.rows, why)
        counts = self._counts.of(self.stream)
        counts.accepted_requests += 1
        counts.accepted_bytes += len(self.frame.body)
        reach("accepted")
        return is_new


class Intake:
    """Takes frames in."""

    def __init__(self, supervisor: Supervisor, journal: Journal, spool: Spool) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._spool = spool
        self._columns: dict[str, OpenColumns] = {}

    @property
    def limits(self) -> Limits:
        """The limits that hold now."""
        return self._supervisor.config.limits

    def admit(self, collector_id: str) -> None:
        """Raise UnknownCollector, IsFetched, IsFollower; BufferFull or NotReady while too many events wait."""
        followers = self._supervisor.takers(collector_id)
        self._check_room(collector_id)
        for follower in followers:
            if follower.when_full == "refuse" and self._is_full(follower.id):
                whose = f"the events of '{follower.id}', which gets these events too,"
                raise BufferFull(_FULL.format(self.limits.max_collector_bytes, whose))

    def config(self, collector_id: str) -> CollectorConfig:
        """Return a collector's config; raise UnknownCollector."""
        return self._supervisor.pipeline(collector_id).config

    def gateway(self, collector_id: str) -> Gateway | None:
        """Return the way of posted events to where a collector fetches its events from; None: they are kept here.

        Raises UnknownCollector.
        """
        return self._supervisor.pipeline(collector_id).gateway

    def count_passed(self, collector_id: str, size: int) -> None:
        """Count events that were passed on."""
        counts = self._supervisor.counts.of(collector_id)
        counts.accepted_requests += 1
        counts.accepted_bytes += size

    def admit_whole(self, collector_id: str) -> None:
        """Raise UnknownCollector, or BufferFull or NotReady while too much waits already for another whole batch.

        A follower takes whole batches too: those of the collector that it follows aren't its own.
        """
        pipeline = self._supervisor.pipeline(collector_id)
        if pipeline.config.kafka is not None:
            raise IsFetched(collector_id)
        if pipeline.status().sealed >= MAX_WAITING:
            raise BufferFull(f"{MAX_WAITING} batches wait for their reports; nothing was kept, try again in a while")
        self._check_room(collector_id)

    def _check_room(self, collector_id: str) -> None:
        limits = self.limits
        if self._is_full(collector_id):
            raise BufferFull(_FULL.format(limits.max_collector_bytes, "the collector's events"))
        if self._journal.buffered_bytes_in_all >= limits.max_buffered_bytes:
            raise NotReady(
                f"{limits.max_buffered_bytes} bytes of events are not delivered yet, which is the limit; nothing was "
                "kept, try again once some are delivered"
            )

    def _is_full(self, collector_id: str) -> bool:
        return self._journal.buffered_bytes(collector_id) >= self.limits.max_collector_bytes

    def key_of(self, collector_id: str) -> str:  # noqa: ARG002  (events are known without)
        """Name the column that each row needs a key in; "" for none."""
        return ""

    def bounds(self, format_: Format, key: str = "") -> Bounds:
        """Return what a table of a format may have at most, and the column in which each row needs a key."""
        limits = self.limits
        return Bounds(max_bytes(limits, format_), limits.max_rows, limits.max_columns, key)

    def private(self, collector_id: str) -> Private | None:
        """Return which columns are dropped or hashed before anything of a collector's bodies is kept."""
        return self._supervisor.private(collector_id)

    def check(self, format_: Format, body: bytes, key: str = "") -> Frame:
        """Return a body as a frame; raise BadBody or BodyTooLarge unless it is a table within the limits."""
        return check_frame(format_, body, self.bounds(format_, key))

    def order(self, collector_id: str, frame: Frame, key: str = "") -> Pending:
        """Order that a frame be kept, once if it comes again with its key, and don't wait for it.

        Raises UnknownCollector: the collector may have been deleted since its events were admitted; TooManyColumns.
        """
        followers, names, limit = self._supervisor.takers(collector_id), frame.names, self.limits.max_columns
        taking, passed = self._told_apart(followers, names) if followers and frame.rows else ((), ())
        new = self._open_columns(collector_id).admit(names, limit) if frame.rows else None
        frame.names = ()
        pending = self._order(collector_id, frame, key, taking, passed)
        if new is not None:
            self._order_columns(collector_id, names, new)
        if taking:
            self._order_columns_of(taking, names)
        return pending

    def order_logged(self, collector_id: str, logged: Sequence[Logged], size: int, left_out: int) -> Order[list[Kept]]:
        """Order that what a model server has logged be kept, all of it or nothing, and don't wait for it.

        It came in a body of ``size`` bytes; the config leaves out ``left_out`` other requests and responses.
        Raises UnknownCollector, TooManyColumns; its order BadBody, if a request and its response don't fit.
        """
        followers, limit = self._supervisor.takers(collector_id), self.limits.max_columns
        # The columns of a half count at once: it isn't known in which batch its event will be.
        names = dict.fromkeys(name for one in logged if one.stream == collector_id for name in one.names)
        taking, passed = self._told_apart(followers, names) if followers and names else ((), ())
        new = self._open_columns(collector_id).admit(names, limit) if names else None

        def tell(fates: Collection[str], rows: int) -> None:
            for pipeline, why in passed if rows else ():
                pipeline.note_skipped(rows, why)
            counts = self._supervisor.counts.of(collector_id)
            counts.accepted_requests += 1
            counts.accepted_bytes += size
            counts.logged["left_out"] += left_out
            counts.logged.update(fates)
            reach("accepted")

        order = self._journal.halves.order(logged, self._supervisor.config.idempotency, taking, tell)
        if new is not None:
            self._order_columns(collector_id, names, new)
        self._order_columns_of(taking, names)
        return order

    def _order(
        self,
        stream: str,
        frame: Frame,
        key: str,
        taking: Sequence[str] = (),
        passed: Sequence[tuple[Pipeline, str]] = (),
    ) -> Pending:
        body = frame.body
        digest = hashlib.sha256(body).hexdigest() if key and isinstance(body, bytes) else getattr(body, "digest", "")
        order = self._journal.order_append(stream, frame, key, digest, self._supervisor.config.idempotency, taking)
        if frame.rows:
            self._spool.keep(frame)
        return Pending(stream, frame, order, self._spool, self._supervisor.counts, passed)

    def _told_apart(
        self, followers: Sequence[CollectorConfig], names: Collection[str]
    ) -> tuple[list[str], list[tuple[Pipeline, str]]]:
        """Return the followers that take the rows, and those that skip them, with the reasons.

        Raises TooManyColumns for a follower that may skip nothing.
        """
        taking, passed = [], []
        for follower in followers:
            if follower.when_full == "refuse":
                self._check_columns(follower.id, names)
            elif why := self._why_passed(follower.id, names):
                passed.append((self._supervisor.pipeline(follower.id), why))
                continue
            taking.append(follower.id)
        return taking, passed

    def _why_passed(self, follower: str, names: Collection[str]) -> str:
        if self._is_full(follower):
            return f"{self.limits.max_collector_bytes} bytes of its events are not delivered yet, which is the limit"
        try:
            self._check_columns(follower, names)
        except TooManyColumns as error:
            return f"its open batch has {error.held} columns, and the limit is {self.limits.max_columns}"
        return ""

    def _check_columns(self, follower: str, names: Collection[str]) -> None:
        self._open_columns(follower).check(names, self.limits.max_columns, f"'{follower}' gets these rows too, and its")

    def _order_columns_of(self, followers: Sequence[str], names: Collection[str]) -> None:
        for follower in followers:
            if (new := self._open_columns(follower).admit(names, self.limits.max_columns)) is not None:
                self._order_columns(follower, names, new)

    def _order_columns(self, collector_id: str, names: Collection[str], new: NewColumns) -> None:
        columns = self._open_columns(collector_id)
        self._journal.order_columns(collector_id, new, lambda _: columns.mark_kept(names, new))

    async def take_whole(self, frame: Frame, whole: Whole) -> Taken:
        """Make a frame a batch of its own, sealed at once, unless it is known; tell which it is.

        Raises BadBody if it has no rows, UnknownCollector, NotReady if it is to replace one that isn't delivered yet.
        """
        pipeline = self._supervisor.pipeline(whole.collector)
        if not frame.rows:
            raise BadBody("the body has no rows, and a batch has at least one")
        frame.names = ()
        self._spool.keep(frame)
        try:
            taken = await pipeline.take_whole(whole, frame)
        except CollectorError:
            self._spool.drop(frame)
            raise
        if not taken.is_new:
            self._spool.drop(frame)
        counts = self._supervisor.counts.of(whole.collector)
        counts.accepted_requests += 1
        counts.accepted_bytes += len(frame.body)
        return taken

    def _open_columns(self, collector_id: str) -> OpenColumns:
        columns = self._columns.get(collector_id)
        if columns is None:
            columns = self._columns[collector_id] = OpenColumns(
                self._journal.waiting(collector_id), self._journal.columns(collector_id)
            )
        return columns

    def commit(self) -> bool:
        """Carry out what is ordered, and return whether it is done already; if not, it must be waited for."""
        return self._journal.commit()

    def count_refusal(self, collector_id: str, error: CollectorError) -> None:
        """Count refused events; ids of collectors that don't exist are never kept."""
        counts = self._supervisor.counts
        is_known = collector_of(collector_id) in self._supervisor.config.collectors
        refused = counts.of(collector_id).refused_requests if is_known else counts.refused_requests
        refused[_snake(type(error).__name__)] += 1


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
