"""Intake: what every source of events goes through, whatever it speaks: may they come, are they a table, keep them.

A source asks ``admit`` before it reads much, makes a frame of what it read (``check``), and ``order``s that to be kept.
Orders of one moment share a transaction; each is done once it says so, and ``finish`` tells what came of it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import BufferFull, CollectorError, NotReady
from collector.fault_points import reach
from collector.formats.bounds import Bounds
from collector.formats.frames import check_frame
from collector.ingest.columns import OpenColumns
from collector.ingest.room import max_bytes

if TYPE_CHECKING:
    from collector.config import Limits
    from collector.formats.frames import Format, Frame
    from collector.ingest.spool import Spool
    from collector.status.counts import Counts
    from collector.store.journal import Journal
    from collector.store.writer import Order
    from collector.supervision.supervisor import Supervisor


@dataclass(slots=True)
class Pending:
    """A frame that is ordered to be kept."""

    collector_id: str
    frame: Frame
    order: Order[bool]
    _spool: Spool
    _counts: Counts

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
        counts = self._counts.of(self.collector_id)
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
        """Raise UnknownCollector, or BufferFull or NotReady while too many events wait already."""
        self._supervisor.pipeline(collector_id)
        limits = self.limits
        if self._journal.buffered_bytes(collector_id) >= limits.max_collector_bytes:
            raise BufferFull(
                f"{limits.max_collector_bytes} bytes of the collector's events are not delivered yet, and no more may "
                "wait; nothing was kept, try again once some are delivered"
            )
        if self._journal.buffered_bytes_in_all >= limits.max_buffered_bytes:
            raise NotReady(
                f"{limits.max_buffered_bytes} bytes of events are not delivered yet, and no more may wait; nothing was "
                "kept, try again once some are delivered"
            )

    def bounds(self, format_: Format) -> Bounds:
        """Return what a table of a format may have at most."""
        limits = self.limits
        return Bounds(max_bytes(limits, format_), limits.max_rows, limits.max_columns)

    def check(self, format_: Format, body: bytes) -> Frame:
        """Return a body as a frame; raise BadBody or BodyTooLarge unless it is a table within the limits."""
        return check_frame(format_, body, self.bounds(format_))

    def order(self, collector_id: str, frame: Frame, key: str = "") -> Pending:
        """Order that a frame be kept, once if it comes again with its key, and don't wait for it.

        Raises UnknownCollector: the collector may have been deleted since its events were admitted; TooManyColumns.
        """
        self._supervisor.pipeline(collector_id)
        columns, names = self._open_columns(collector_id), frame.names
        new = columns.admit(names, self.limits.max_columns) if frame.rows else None
        frame.names = ()
        body = frame.body
        digest = hashlib.sha256(body).hexdigest() if key and isinstance(body, bytes) else getattr(body, "digest", "")
        order = self._journal.order_append(collector_id, frame, key, digest, self._supervisor.config.idempotency)
        if new is not None:
            self._journal.order_columns(collector_id, new, lambda _: columns.mark_kept(names, new))
        if frame.rows:
            self._spool.keep(frame)
        return Pending(collector_id, frame, order, self._spool, self._supervisor.counts)

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
        """Count events that were refused; what isn't the id of a collector that is there is never kept."""
        counts = self._supervisor.counts
        is_known = collector_id in self._supervisor.config.collectors
        refused = counts.of(collector_id).refused_requests if is_known else counts.refused_requests
        refused[_snake(type(error).__name__)] += 1


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
