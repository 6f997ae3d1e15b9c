"""Labelling: labels that come later are looked for in the batches that wait, and joined to them in the end.

One step after the other: labels leave the journal for parts; the keys of batches are made; both are matched; a batch
that has enough, or has waited long enough, is closed by a join in one transaction, and then evaluated as any other;
labels that nobody can need any more are dropped, and what became of each is counted. Whatever is cut off is done
again: what a step has made counts once the journal knows of it, and files of keys can always be made again.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import trio

from collector.config.labels import DEFAULT_WAIT, LABELS
from collector.errors import EvaluationError, FilesDamaged, KeysSpoiled, StorageError
from collector.fault_points import reach
from collector.labels.exchange import BatchFiles, Closed, Keying, LabelFile, Waiting, Wanted
from collector.pipeline.failed import drop_damaged
from collector.pipeline.spilling import Spilling
from collector.status.telling import LabelsClosed
from collector.store.awaiting import waiting_file
from collector.store.records import Batch, Part, labelled_id
from collector.store.steps.labels import key_files, numbers_of
from collector.store.streams import labels_of
from collector.waiting.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from collector.config.labels import Labels
    from collector.labels.exchange import Joined
    from collector.pipeline.sealing import Sealing
    from collector.pipeline.work import Work
    from collector.store.labels import Outlook
    from collector.store.records import Awaited, LabelPart
    from collector.workers.exchange import ClosedBy

# Labels leave the journal once this many rows wait, or the oldest has waited for a time that grows with the number of
# parts. So a trickle makes some two thousand parts a week, and none has to be merged.
SPILL_ROWS = 50_000
SPILL_SECONDS = 2.0
SPILL_SECONDS_EACH_PART = 0.25
# After a start, batches that are due wait a little for labels that couldn't come while the service was down: for this
# share of their waiting time, and no longer than this.
GRACE_SHARE = 0.01
MAX_GRACE = 600.0
# Seconds between looks at labels that may be dropped. No bell rings for them, as a batch that needs them may end
# silently.
LOOK_AGAIN = 60.0
LEAST_PAUSE = 0.2


class _Terms(NamedTuple):
    """The key of labels, and how long they are kept: by the config, or by the last one that had labels."""

    key: str
    wait: float


class Labelling:
    """Looks after the labels of one collector."""

    def __init__(self, work: Work, spilling: Spilling, sealing: Sealing) -> None:
        self._work = work
        self._book = work.journal.labels
        self._clocks = work.tools.clocks
        self._stream = labels_of(work.id)
        self._events = spilling
        self._spilling = Spilling(work, sealing, self._stream)
        self._seed, self._terms = 0, _Terms("", DEFAULT_WAIT)
        self._not_before = 0.0
        self._set_by = self._clocks.set_by
        self._seen: Outlook | None = None
        self._seen_after = 0

    async def run(self) -> None:
        """Do what is due; runs until cancelled, or until no label is waited for any more."""
        labels, backoff = self._work.config.labels, Backoff()
        self._seed = await self._book.seed()
        awaited = (await self._look()).awaited
        self._terms = _terms_of(labels, awaited)
        for one in awaited:
            if one.cut is None and one.state == "delivered":  # perhaps it was delivered by an older release
                await self._book.write_down(one.batch, self._work.id)
        if labels is not None:
            self._book.collectors.add(self._work.id)
            self._not_before = self._clocks.now() + min(MAX_GRACE, GRACE_SHARE * labels.wait)
            await self._book.set_wait(self._work.id, labels.wait)
        while True:
            try:
                outlook = await self._step(labels)
            except (EvaluationError, StorageError) as error:
                self._work.log.warning("labels can't be joined now; it is tried again in a while", error=str(error))
                await trio.sleep(backoff.next())
                continue
            backoff.reset()
            self._work.note(labels=_told(outlook, self._book.kept_bytes(self._work.id)))
            if labels is None and outlook.is_over:
                self._book.collectors.discard(self._work.id)
                self._work.note(labels=None)
                return
            await self._wait(outlook)

    async def _step(self, labels: Labels | None) -> Outlook:
        """Do all that is due; return the state after it."""
        await self._heed_clock()
        for _ in range(self._waiting_rows() // SPILL_ROWS):  # first of all, because each part makes a look longer
            await self._spilling.spill(None)
        self._seen = None
        await self._spill(await self._look())
        try:
            if labels is None:
                await self._let_go()
            else:
                await self._index()
                await self._match(labels)
                await self._close(labels)
            await self._retire()
        except KeysSpoiled as error:
            await self._mend(str(error))
        except FilesDamaged as error:
            await self._take_damage(error.paths)
        return await self._look()

    async def _look(self) -> Outlook:
        """Return the state after our last change; what others change in the midst of a step is for the next one."""
        if self._seen is None or self._seen_after != self._book.changes:
            self._seen_after = self._book.changes
            self._seen = await self._book.look(self._work.id)
        return self._seen

    async def _wait(self, outlook: Outlook) -> None:
        """Wait until something may be due: more labels, another batch, or a time that has come."""
        now, wait = self._clocks.now(), self._terms.wait
        due = [max(one.due, self._not_before) for one in outlook.awaited if one.cut is None and one.state != "sealed"]
        due += [max(part.held, part.since + wait, now + 1) for part in outlook.parts]
        soonest = min(now + LOOK_AGAIN, self._spill_due(outlook), *due)
        rows = SPILL_ROWS if outlook.oldest_frame is not None else 1
        with self._clocks.until(max(soonest, now + LEAST_PAUSE)):
            async with trio.open_nursery() as nursery:

                async def wait_for_labels() -> None:
                    await self._work.journal.wait_for_frames(self._stream, rows)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(wait_for_labels)
                await self._work.to_label.wait()
                nursery.cancel_scope.cancel()

    async def _heed_clock(self) -> None:
        """Shift due times if the wall clock was set."""
        set_by = self._clocks.set_by
        if set_by != self._set_by:
            await self._book.shift(self._work.id, set_by - self._set_by)
            self._not_before += set_by - self._set_by
            self._set_by = set_by

    # Moving labels to parts

    def _waiting_rows(self) -> int:
        return self._work.journal.waiting(self._stream).frame_rows

    def _spill_due(self, outlook: Outlook) -> float:
        if outlook.oldest_frame is None:
            return math.inf
        if self._waiting_rows() >= SPILL_ROWS:
            return -math.inf
        return outlook.oldest_frame + SPILL_SECONDS + SPILL_SECONDS_EACH_PART * len(outlook.parts)

    async def _spill(self, outlook: Outlook) -> None:
        if self._spill_due(outlook) <= self._clocks.now():
            self._seen = None
            await self._spilling.spill(None)

    async def _spill_all(self) -> None:
        """Move all labels to parts: those that have come by now are in time for a batch that closes now."""
        self._seen = None
        while await self._spilling.spill(None):
            pass

    # Making keys, and matching

    def _keying(self) -> Keying:
        # a follower has its leader's private columns, which may change
        private = self._work.service.private_of(self._work.config)
        secret = "" if private is None else private["hash"].get(self._terms.key, "")
        if not secret:
            return Keying(self._terms.key, self._seed)
        from collector.formats.private import hashed  # only a config with private columns needs it

        return Keying(self._terms.key, self._seed, hashed(b"", secret.encode()), secret)

    def _path(self, name: str) -> str:
        return str(self._work.data_dir.path / name)

    def _label_files(self, parts: Iterable[LabelPart]) -> list[LabelFile]:
        return [LabelFile(self._path(part.path), self._path(numbers_of(part.path))) for part in parts]

    async def _index(self) -> None:
        """Make the keys of batches that have none, or that have keys of another column or salt."""
        workers, keying = self._work.tools.workers, self._keying()
        for one in (await self._look()).awaited:
            if one.cut is not None or (one.key == keying.name and one.keys is not None):
                continue
            while await self._events.spill(one.batch):
                pass
            paths = [part.path for part in await self._work.journal.parts(one.batch)]
            keys = self._work.data_dir.new_keys()
            found = await workers.index_batch(list(map(self._path, paths)), keying, self._path(keys))
            reach("keys written")
            made = replace(one, key=keying.name, keys=keys, keyed=found.keyed, repeated=found.repeated)
            if not await self._book.enter_keys(made, paths):
                self._remove(keys)
            reach("keys entered")
            self._remove(one.keys, one.marks)

    async def _match(self, labels: Labels) -> None:
        """Look for new labels in each batch; batches with the same new labels are looked through together."""
        outlook = await self._look()
        if not outlook.parts:
            return
        last, firsts = outlook.parts[-1].last, [part.first for part in outlook.parts]
        groups: dict[tuple[LabelPart, ...], list[Awaited]] = {}
        for one in outlook.awaited:
            if one.cut is None and one.keys is not None and one.matched < last:
                # no loop over all parts, because thousands of batches may wait
                later = outlook.parts[bisect_right(firsts, one.matched) :]
                new = tuple(part for part in later if _is_for(part, one, labels))
                groups.setdefault(new, []).append(one)
        for parts, group in groups.items():
            await self._match_together(parts, group, last)

    async def _match_together(self, parts: Sequence[LabelPart], group: Sequence[Awaited], last: int) -> None:
        if not parts:  # all labels are too old for these batches
            await self._book.enter_matches([replace(one, matched=last) for one in group])
            return
        found = [replace(one, matched=last, marks=f"{one.keys}.{last}.marks") for one in group]
        waiting = [
            Waiting(self._path(str(one.keys)), one.marks and self._path(one.marks), self._path(str(new.marks)))
            for one, new in zip(group, found, strict=True)
        ]
        workers, keying = self._work.tools.workers, self._keying()
        counts = await workers.match_labels(self._label_files(parts), waiting, keying)
        reach("marks written")
        await self._book.enter_matches([replace(one, labelled=count) for one, count in zip(found, counts, strict=True)])
        reach("marks entered")
        self._work.data_dir.remove_keys(one.marks for one in group if one.marks)

    # Closing batches

    async def _close(self, labels: Labels) -> None:
        """Join the batches that have enough labels or have waited for long enough; only after their main report."""
        outlook = await self._look()
        ready = [one for one in outlook.awaited if one.cut is None and one.keys is not None and one.state != "sealed"]
        enough = [one for one in ready if one.keyed and one.labelled >= labels.min_share * one.keyed - 1e-9]
        for one in enough:
            await self._join(labels, one, "share")
        due = [one for one in ready if one not in enough and self._is_due(one)]
        if due:
            await self._spill_all()
            await self._match(labels)
            batches = {one.batch for one in due}
            for one in (await self._look()).awaited:  # a client may have replaced a batch meanwhile
                if one.batch in batches:
                    await self._join(labels, one, "wait")
        elif ready and not enough and outlook.waiting_bytes and self._is_full():
            await self._join(labels, ready[0], "budget")

    def _is_due(self, one: Awaited) -> bool:
        return max(one.due, self._not_before) <= self._clocks.now()

    def _is_full(self) -> bool:
        return self._book.kept_bytes(self._work.id) >= self._work.service.limits.max_labels_bytes

    async def _join(self, labels: Labels, one: Awaited, by: ClosedBy) -> None:
        if one.keys is None:
            return  # one of its parts was dropped meanwhile: its keys are made again first
        work = self._work
        main = await work.journal.find_batch(one.batch)
        paths = [part.path for part in await work.journal.parts(one.batch)]
        used = [part for part in (await self._look()).parts if part.last <= one.matched and _is_for(part, one, labels)]
        name = work.data_dir.new_join(labelled_id(one.batch))
        joined = await work.tools.workers.join_labels(
            BatchFiles(list(map(self._path, paths)), self._path(one.keys)),
            self._label_files(used),
            self._keying(),
            Wanted(labels.columns, labels.on_duplicate),
            self._path(name),
        )
        reach("labels joined")
        parts = [Part(f"parts/{part.path.rpartition('/')[2]}", part.rows, part.size) for part in joined.parts]
        now = self._clocks.now()
        closed = replace(one, cut=one.matched, closed=now, disputed=joined.disputed)
        made = None if main is None or not parts else _labelled(main, one, joined, now, by)
        # its events were read again from Kafka, and were joined before
        if made is not None and await work.journal.find_batch(made.id) is not None:
            work.data_dir.remove([part.path for part in parts])
            made, parts = None, []
        is_closed = await self._book.close(closed, made, parts, paths)
        reach("labels closed")
        if not is_closed:
            work.data_dir.remove([part.path for part in parts])
            return
        work.data_dir.remove_keys([f"{one.keys}.rows", waiting_file(one.batch), *([one.marks] if one.marks else ())])
        if main is not None:
            await work.tell(LabelsClosed(main, by, 0 if made is None else made.rows, one.keyed))
        await work.count()
        work.to_evaluate.ring()

    # Dropping labels

    async def _retire(self) -> None:
        """Drop labels that are too old once no waiting batch needs them; count what became of each label."""
        outlook, now, keying = await self._look(), self._clocks.now(), self._keying()
        for part in outlook.parts:
            until = part.since + self._terms.wait
            if part.held > now or until > now or (outlook.oldest_open or math.inf) <= until:
                continue
            mine = [one for one in outlook.awaited if one.opened <= until]
            waiting = [one for one in mine if one.cut is None]
            if any(one.key != keying.name or one.keys is None or one.matched < part.last for one in waiting):
                continue
            if not await self._is_held(part, waiting):
                await self._sort_out(part, [one for one in mine if one.cut is not None and one.keys])
        await self._forget_closed()

    async def _is_held(self, part: LabelPart, waiting: Sequence[Awaited]) -> bool:
        """Tell whether waiting batches need a part of labels; if so, keep it until the last of them is due."""
        if not waiting:
            return False
        [file] = self._label_files([part])
        keys = [self._path(str(one.keys)) for one in waiting]
        found = await self._work.tools.workers.labels_wanted_by(file, keys, self._keying())
        due = [one.due for one, is_wanted in zip(waiting, found, strict=True) if is_wanted]
        if due:
            await self._book.hold(part, max(*due, self._clocks.now() + 0.5))
        return bool(due)

    async def _sort_out(self, part: LabelPart, closed: Sequence[Awaited]) -> None:
        in_time = [self._closed(one) for one in closed if part.last <= (one.cut or 0)]
        late = [self._closed(one) for one in closed if part.first > (one.cut or 0)]
        [file] = self._label_files([part])
        fates = await self._work.tools.workers.fates_of(file, in_time, late, self._keying())
        reach("labels sorted out")
        await self._book.retire(self._work.id, part, fates._asdict())
        reach("labels retired")
        self._drop(part)

    def _closed(self, one: Awaited) -> Closed:
        return Closed(self._path(str(one.keys)), str(one.key), bool(one.disputed))

    async def _forget_closed(self) -> None:
        """Forget the keys of closed batches, once all labels that came in time for them are counted.

        Whether a label came in time is told by its number, not by a clock: the service may have been down for long.
        """
        outlook, now = await self._look(), self._clocks.now()
        gone = []
        for one in outlook.awaited:
            if one.cut is None or one.closed is None or (end := one.closed + 2 * one.wait) >= now:
                continue
            is_needed = any(part.first <= one.cut or part.since + self._terms.wait < end for part in outlook.parts)
            comes_late = outlook.oldest_frame is not None and outlook.oldest_frame < one.closed + one.wait
            if not is_needed and not comes_late:
                gone.append(one)
        if gone:
            await self._book.forget_awaited([one.batch for one in gone])
            for one in gone:
                self._remove(one.keys)

    async def _let_go(self) -> None:
        """Stop waiting for labels of due batches: the config has none now. Others wait, as it may have some again."""
        outlook, now = await self._look(), self._clocks.now()
        dropped = [one for one in outlook.awaited if one.cut is None and one.due <= now]
        if not dropped:
            return
        await self._book.forget_awaited([one.batch for one in dropped])
        for one in dropped:
            self._remove(one.keys, one.marks)
        self._work.data_dir.remove_keys(waiting_file(one.batch) for one in dropped)
        rows = sum(one.rows for one in dropped)
        told = "batches no longer wait for labels, as the config has none for them"
        self._work.log.warning(told, batches=len(dropped), rows=rows)

    # Damage

    async def _mend(self, path: str) -> None:
        """Have a spoiled file of keys made again; if its batch is closed, its labels count as unmatched."""
        for one in (await self._look()).awaited:
            if one.keys is None or not path.startswith(self._path(one.keys)):
                continue
            self._work.log.warning("a file of keys is gone or damaged", file=path, batch=one.batch)
            if one.cut is None:
                await self._book.forget_keys(one.batch)
                self._remove(one.keys, one.marks)
            else:
                await self._book.forget_awaited([one.batch])
                self._remove(one.keys)
        self._work.to_label.ring()

    async def _take_damage(self, paths: Sequence[str]) -> None:
        """Set damaged parts aside. Labels in them count as damaged; a batch goes on with the rest of its rows."""
        work, outlook = self._work, await self._look()
        damaged = set(paths)
        for part in outlook.parts:
            if self._path(part.path) in damaged:
                work.data_dir.set_aside(work.data_dir.path / part.path, "part")
                await self._book.retire(work.id, part, {"damaged": part.rows})
                work.data_dir.remove_keys([numbers_of(part.path)])
                work.log.error("labels are lost: their file is damaged, and set aside", rows=part.rows, file=part.path)
        for one in outlook.awaited:
            main = await work.journal.find_batch(one.batch)
            if main is not None:
                await drop_damaged(work, main, damaged)
        work.to_label.ring()

    def _drop(self, part: LabelPart) -> None:
        self._work.data_dir.remove([part.path])
        self._work.data_dir.remove_keys([numbers_of(part.path)])

    def _remove(self, keys: str | None, marks: str | None = None) -> None:
        if keys is not None:
            self._work.data_dir.remove_keys(key_files(keys))
        if marks is not None:
            self._work.data_dir.remove_keys([marks])


def _terms_of(labels: Labels | None, awaited: Sequence[Awaited]) -> _Terms:
    if labels is not None:
        return _Terms(labels.key, labels.wait)
    key = next((one.key.partition("\0")[0] for one in reversed(awaited) if one.key is not None), "")
    return _Terms(key, max((one.wait for one in awaited), default=DEFAULT_WAIT))


def _is_for(part: LabelPart, one: Awaited, labels: Labels) -> bool:
    """Tell whether labels may be about a batch: they can't be if its predictions came long after them."""
    return part.since + labels.wait >= one.opened


def _labelled(main: Batch, one: Awaited, joined: Joined, now: float, by: ClosedBy) -> Batch:
    """Return the batch of those rows of another batch that have labels."""
    start, end = main.window
    rows = sum(part.rows for part in joined.parts)
    told = {
        "rows": main.rows,
        "labelled_rows": rows,
        "closed_by": by,
        "repeated": one.repeated,
        "replaced": joined.replaced,
        "disputed": joined.disputed,
    }
    batch = Batch(labelled_id(main.id), main.collector, "sealed", rows, main.opened, now, outcome={LABELS: told})
    return replace(batch, report=LABELS, source=main.id, start=start, end=end, is_backfill=main.is_backfill)


def _told(outlook: Outlook, kept_bytes: int) -> dict[str, object]:
    """Return what the status shows of labels."""
    waiting = [one for one in outlook.awaited if one.cut is None]
    return {
        "waiting_batches": len(waiting),
        "waiting_rows": sum(one.keyed if one.keys else one.rows for one in waiting),
        "labelled_rows": sum(one.labelled for one in waiting),
        "next_close": min((one.due for one in waiting), default=None),
        "bytes": kept_bytes,
        "rows": outlook.fates,
    }
