"""The journal's book of labels: which batches wait for theirs, which labels are there, and what became of those."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import trio

from collector.disk.refusals import refusal
from collector.store.awaiting import waiting_file, write_waiting
from collector.store.connect import reading
from collector.store.steps import keys, labels
from collector.store.streams import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from collector.store.data_dir import DataDir
    from collector.store.records import Awaited, Batch, LabelPart, Part
    from collector.store.writer import Writer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outlook:
    """The state of a collector's labels: the batches that wait, the parts, and what became of how many labels.

    ``oldest_frame`` is when the oldest labels came that are in no part yet, ``oldest_open`` when the oldest event came
    that is in no batch; None if there are none.
    """

    awaited: list[Awaited]
    parts: list[LabelPart]
    fates: dict[str, int]
    oldest_frame: float | None
    oldest_open: float | None
    waiting_bytes: int

    @property
    def is_over(self) -> bool:
        """Whether no label is kept, and none is waited for or may come late."""
        return not self.awaited and not self.parts and self.oldest_frame is None


class LabelBook:
    """Enters what becomes of labels; each method is one transaction.

    ``buffered`` returns the bytes of a stream, ``count`` counts some that came or went.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        data_dir: DataDir,
        writer: Writer,
        buffered: Callable[[str], int],
        count: Callable[[str, int], None],
    ) -> None:
        self._data_dir = data_dir
        self._writer = writer
        self._buffered = buffered
        self._count = count
        self._reading = trio.CapacityLimiter(1)
        self._waiting_bytes: dict[str, int] = {}
        self.changes = 0  # how many changes were entered: what was read before the last one may be out of date
        self.collectors = labels.collectors(connection)  # collectors that have labels, or batches that wait for some

    def kept_bytes(self, collector: str) -> int:
        """Return the bytes of a collector's labels, and of its delivered events that wait for theirs."""
        return self._buffered(labels_of(collector)) + self._waiting_bytes.get(collector, 0)

    def forget(self, collector: str) -> None:
        """Drop what memory has of a collector."""
        self._waiting_bytes.pop(collector, None)
        self.collectors.discard(collector)

    def rename(self, old: str, new: str) -> None:
        """Have what memory has of a collector under its new id."""
        if old in self.collectors:
            self.collectors.discard(old)
            self.collectors.add(new)
        if old in self._waiting_bytes:
            self._waiting_bytes[new] = self._waiting_bytes.pop(old)

    async def seed(self) -> int:
        """Return the seed of the numbers of keys, which is the journal's own."""
        secret = await self._writer.execute(keys.read_secret)
        return int.from_bytes(secret[:8], "big") >> 1

    async def look(self, collector: str) -> Outlook:
        """Return what there is of a collector's labels, read beside the writer."""

        def read() -> Outlook:
            with reading(self._data_dir.journal) as db:
                return Outlook(
                    labels.select_awaited(db, collector),
                    labels.select_label_parts(db, collector),
                    labels.select_fates(db, collector),
                    labels.oldest_frame(db, labels_of(collector)),
                    labels.oldest_open(db, collector),
                    labels.waiting_bytes(db, collector),
                )

        found = await trio.to_thread.run_sync(read, limiter=self._reading)
        self._waiting_bytes[collector] = found.waiting_bytes
        return found

    async def write_down(self, batch_id: str, collector: str) -> None:
        """Write the file that says that a batch waits for labels, if it does, before its parts are marked as delivered.

        Raises StorageError.
        """
        path = self._data_dir.path / waiting_file(batch_id)
        if collector not in self.collectors or path.exists():
            return
        found = await self._writer.execute(lambda db: labels.waiting_batch(db, batch_id))
        if found is not None:
            try:
                await trio.to_thread.run_sync(write_waiting, self._data_dir, found)
            except OSError as error:
                raise refusal(error, path.parent) from error

    async def set_wait(self, collector: str, wait: float) -> None:
        """Have batches wait as long as the config says now."""
        await self._enter(lambda db: labels.set_wait(db, collector, wait))

    async def shift(self, collector: str, seconds: float) -> None:
        """Have batches and labels wait as long as before, though the wall clock was set."""
        await self._enter(lambda db: labels.shift(db, collector, seconds))

    async def enter_keys(self, one: Awaited, paths: Sequence[str]) -> bool:
        """Enter the files of a batch's keys; False if its parts have changed since they were made."""
        return await self._enter(lambda db: labels.enter_keys(db, one, paths))

    async def forget_keys(self, batch_id: str) -> None:
        """Have the files of a batch's keys made again."""
        await self._enter(lambda db: labels.forget_keys(db, batch_id))

    async def enter_matches(self, found: Iterable[Awaited]) -> None:
        """Enter up to which label was looked, how many rows have one, and the files of their marks."""
        await self._enter(lambda db: labels.enter_matches(db, found))

    async def close(self, one: Awaited, made: Batch | None, joined: Sequence[Part], paths: Sequence[str]) -> bool:
        """Close a batch for labels, and seal the batch ``made`` of its rows with labels; None if no row has one.

        False, and nothing done, if its parts aren't those that were joined any more.
        """

        def count(is_done: bool) -> None:  # noqa: FBT001  (what came of it)
            if is_done and made is not None:
                self._count(made.collector, sum(part.size for part in joined))

        return await self._enter(lambda db: labels.close(db, one, made, joined, paths), count)

    async def hold(self, part: LabelPart, until: float) -> None:
        """Keep a part of labels until then, as a waiting batch may need it."""
        await self._enter(lambda db: labels.hold(db, part.path, until))

    async def retire(self, collector: str, part: LabelPart, fates: Mapping[str, int]) -> None:
        """Drop a part of labels, and count what became of each."""

        def count(is_done: bool) -> None:  # noqa: FBT001  (what came of it)
            if is_done:
                self._count(labels_of(collector), -part.size)

        await self._enter(lambda db: labels.retire(db, collector, part, fates), count)

    async def forget_awaited(self, batch_ids: Sequence[str]) -> None:
        """Forget that batches waited for labels."""
        await self._enter(lambda db: labels.forget_awaited(db, batch_ids))

    async def known_files(self, collector: str | None = None) -> set[str]:
        """Return the paths of all files of keys, or of a collector's."""
        return await self._writer.execute(lambda db: labels.known_keys(db, collector))

    async def _enter(self, run: Callable[[sqlite3.Connection], T], apply: Callable[[T], None] | None = None) -> T:
        try:
            return await self._writer.execute(run, apply)
        finally:
            self.changes += 1
