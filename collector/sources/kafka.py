"""A collector's events from Kafka: taken over, read, dropped once they are delivered, and given up when they must be.

It is at work here only under a grant. Whoever gets one begins where the last commit says: from its own journal, if that
is what was committed last, else by reading again; batches that were published are cut where they were cut before.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain as chained
from itertools import repeat
from typing import TYPE_CHECKING

import trio

from collector.config.tasks import number_of
from collector.errors import (
    DeliveryError,
    EvaluationError,
    NotReady,
    OwnedElsewhere,
    OwnershipLost,
    SourceStuck,
    StorageError,
)
from collector.fault_points import reach
from collector.pipeline.asking import ask_workspace
from collector.pipeline.source import Source
from collector.sources.chain import Chain
from collector.sources.fencing import Fencing
from collector.sources.gateway import ToTopic
from collector.sources.messages import Run, check_tables
from collector.sources.owners import begun_in, digest_of
from collector.sources.reading import Broken
from collector.status.counts import KafkaCounts
from collector.store.steps import positions
from collector.waiting.bell import Bell

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from collector.config.kafka import FromKafka
    from collector.formats.bounds import Counted
    from collector.pipeline.work import Work
    from collector.sources.chain import Committed
    from collector.sources.grants import Grant
    from collector.sources.group import Group
    from collector.sources.ownership import Ownership
    from collector.sources.reading import Item
    from collector.status.status import State, Status
    from collector.store.records import Batch, Cut, Fetched, Offsets, Sealed

# Seconds after which positions are committed again. Brokers drop offsets of topics to which no member subscribes, some
# time after the last commit.
TOUCH_SECONDS = 3600.0
# Seconds between looks at whether topics have new partitions, how far they reach, and whether there is room again.
LOOK_SECONDS = 60.0
LAG_SECONDS = 10.0
ROOM_SECONDS = 2.0
# Seconds until a service that was frozen surely knows that it has lost the collector; and between later looks.
SWEEP_DELAY = 30.0
SWEEP_SECONDS = 3600.0
# Batches that may be sealed before they are published: they make the metadata longer, and it mustn't grow too long.
MAX_UNPUBLISHED = 5
# Reading goes on once less than this share of the room for undelivered events is taken.
RESUMED_AT = 0.8
# Bytes of messages, more or less, that are kept in one transaction. And bytes of a later batch's messages, beyond which
# those are dropped while a batch is read again: partitions come at different speeds.
MAX_TOGETHER = 2 * 2**20
MAX_AHEAD = 32 * 2**20
# Seconds that a snapshot in flight has to arrive when the collector goes to another service.
LEAVING_SECONDS = 10.0


class FromTopics(Source):
    """One collector's events, from its topics."""

    def __init__(self, work: Work, wanted: FromKafka, group: Group) -> None:
        self.value_format = wanted.value_format
        self._work = work
        self._wanted = wanted
        self._task = number_of(work.id)
        self.gateway: ToTopic | None = None
        if wanted.gateway_topic is not None:
            check = work.tools.workers.check_body
            self.gateway = ToTopic(group.gateway, wanted.gateway_topic, wanted.value_format, group.bounds, check)
        self._group = group
        self._state: State | None = "standby"
        self._problem = ""
        self._items: deque[Item] = deque()
        self._waiting = 0
        self._came = Bell()
        self._changed = Bell()
        self._settled = trio.Event()
        self._is_full = False
        self._unpublished = 0  # batches sealed since the chain was last read
        self._inherited: frozenset[str] = frozenset()
        self._fencing: Fencing | None = None
        self._next: Offsets = {}
        self._digested: tuple[object, str] = (None, "")
        self._counts = work.counts.kafka = work.counts.kafka or KafkaCounts()

    # What the pipeline asks

    def name_batch(self, db: sqlite3.Connection, collector: str, cut: Cut) -> Cut:
        """Name a batch by where it begins and ends, which is entered."""
        self._unpublished += 1
        return positions.name_batch(db, collector, cut)

    @property
    def is_full(self) -> bool:
        """Whether another batch would be too much to publish."""
        return self._is_full or self._unpublished >= MAX_UNPUBLISHED

    async def wait_for_room(self) -> None:
        """Return once another batch can be published."""
        while self.is_full:
            await self._settled.wait()

    def note_change(self) -> None:
        """Have what holds now published."""
        self._changed.ring()
        self._tell_settled()

    async def give_up(self, batch: Batch, error: str) -> None:
        """Tell the dead-letter topic where the events are that will be in no snapshot."""
        ranges = await self._work.journal.ranges(batch.id)
        self._counts.dead_letters += await self._group.give_up(batch, ranges, error)

    def sending(self) -> AbstractAsyncContextManager[None]:
        """Hold the collector here while a snapshot is sent."""
        if self._fencing is None:
            raise OwnershipLost
        return self._fencing.sending()

    def is_inherited(self, batch_id: str) -> bool:
        """Tell whether a batch was published by the service that had the collector before."""
        return batch_id in self._inherited

    def check_here(self) -> None:
        """Raise OwnedElsewhere unless the collector is at work here."""
        if self._state is not None:
            raise OwnedElsewhere(self._work.id, self._group.owner_of(self._work.id))

    def shown(self, status: Status) -> Status:
        """Return how the collector stands."""
        is_here, lag, id_ = self._state is None, self._counts.lag, self._work.id
        told = {
            "lag": sum(lag.values()) if lag else None,
            "owner": "" if is_here else self._group.owner_of(id_),
            "gateway": self._wanted.gateway_topic or "",
            "mismatch": self._group.mismatch(id_, self._digest()),
        }
        status = replace(status, kafka=told)
        problem = self._problem or self._group.problem
        if problem:
            return replace(status, state="misconfigured", problems=(*status.problems, problem))
        return status if self._state is None else replace(status, state=self._state)

    def _digest(self) -> str:
        if self._digested[0] is not self._work.config:
            self._digested = self._work.config, digest_of(self._work.config)
        return self._digested[1]

    def _tell_settled(self) -> None:
        self._settled.set()
        self._settled = trio.Event()

    # While the collector is ours

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the collector work while it is ours; runs until cancelled."""
        while True:
            self._state = "standby"
            ownership = await self._group.wait_ready()
            try:
                grant = await ownership.wait_granted(ownership.slot_of(self._work.id))
            except OwnershipLost:  # the service is joining the group again
                continue
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._leave_with, ownership, grant, nursery.cancel_scope)
                    await self._own(ownership, grant, work, nursery)
            except* OwnershipLost:
                await ownership.wait_lost(grant)
            finally:
                self._state = "standby"
                self._fencing = None
                self._counts.lag = {}
                if self._work.id in ownership.begun[grant.slot]:
                    ownership.begun[grant.slot][self._work.id] = ""
                await self._stop_reading()

    async def _leave_with(self, ownership: Ownership, grant: Grant, scope: trio.CancelScope) -> None:
        """Stop everything when the grant ends, but let a snapshot in flight arrive."""
        await ownership.wait_lost(grant)
        with trio.move_on_after(LEAVING_SECONDS):
            await ownership.wait_sent(grant)
        self._work.log.info("the collector goes to another service of the group")
        scope.cancel()

    async def _own(
        self, ownership: Ownership, grant: Grant, work: Callable[[], Awaitable[None]], nursery: trio.Nursery
    ) -> None:
        self._state, self._problem = "restoring", ""
        read = partial(self._read_chain, ownership.begun[grant.slot])
        self._fencing = Fencing(ownership, grant, read, count=self._count_commit)
        try:
            await self._take_over(ownership, grant)
        except SourceStuck as error:
            await self._stay_stuck(error)
        self._work.log.info("the collector is at work here", batches=len(self._inherited))
        self._state = None
        self._counts.takeovers += 1
        nursery.start_soon(self._read)
        nursery.start_soon(self._measure_lag)
        nursery.start_soon(self._publish)
        nursery.start_soon(self._find_partitions)
        nursery.start_soon(self._sweep)
        await work()

    async def _stay_stuck(self, error: SourceStuck) -> None:
        self._problem = str(error)
        self._work.log.error("its events can't be read", error=str(error))
        await trio.sleep_forever()

    # Taking over

    async def _take_over(self, ownership: Ownership, grant: Grant) -> None:
        committed = await self._find_committed(ownership, grant)
        published = Chain.read(committed)
        ownership.count_on(published.number)
        if published.batches and published.tasks != self._wanted.tasks_max:
            raise SourceStuck(
                f"kafka.tasks_max was {published.tasks} when batches were sealed that are not delivered yet; set it "
                "back until they are delivered, then change it while all services are stopped"
            )
        writer, reading = await self._work.journal.reading(self._work.id)
        mine = None if reading is None else Chain.of(reading, writer, self._wanted.tasks_max)
        self._inherited = frozenset(published.ids(self._work.id))
        is_mine = mine is not None and mine.writer == published.writer and mine.base.keys() == published.base.keys()
        if reading is not None and mine is not None and is_mine and published.is_continued_by(mine):
            self._next = dict(reading.next)
        else:
            await self._read_again(published)
        await self._fence()
        reach("taken over")
        await self._group.reading.assign(self, self._next)

    async def _fence(self) -> None:
        if self._fencing is None:
            raise OwnershipLost
        await self._fencing.commit()

    async def _find_committed(self, ownership: Ownership, grant: Grant) -> dict[tuple[str, int], Committed]:
        """Return where the group stands in each partition; for a new partition, where it begins."""
        group, collector, topics = self._group, self._work.id, self._wanted.topics
        counts = await group.ask(lambda brokers: brokers.partitions(topics))
        if missing := [topic for topic, count in counts.items() if not count]:
            raise SourceStuck(f"the brokers have no topic '{missing[0]}'; create it, or correct kafka.topics")
        at = self._share_of(counts)
        if not at:
            raise SourceStuck(
                "kafka.tasks_max is larger than the number of partitions, and this task has none; lower it"
            )
        slot = (group.config.ownership_topic, grant.slot)
        committed = await group.ask(lambda brokers: brokers.committed([*at, slot]))
        begun = begun_in(committed.pop(slot).metadata)
        for known in begun:
            ownership.begun[grant.slot].setdefault(known, "")
        new = [one for one, told in committed.items() if told.offset is None]
        if new and collector in begun and len(new) == len(committed):
            raise SourceStuck(
                "the committed offsets have expired or were deleted, so it isn't known what was read; set them "
                f"with kafka-consumer-groups --group {group.config.group_id} --reset-offsets, while no service runs"
            )
        if new:
            ends = await group.ask(lambda brokers: brokers.ends(new))
            is_latest = self._wanted.auto_offset_reset == "latest" and collector not in begun
            for one in new:
                committed[one] = replace(committed[one], offset=ends[one][is_latest])
        ownership.begun[grant.slot][collector] = self._digest()
        return committed

    def _share_of(self, counts: dict[str, int]) -> list[tuple[str, int]]:
        """Return the partitions of this task."""
        tasks = self._wanted.tasks_max
        return [(topic, one) for topic, count in counts.items() for one in range(count) if one % tasks == self._task]

    async def _read_again(self, published: Chain) -> None:
        """Drop the events that are here; read published, undelivered batches again, each with the same events."""
        work = self._work
        ids = published.ids(work.id)
        work.data_dir.remove_batches(*await work.journal.begin_at(work.id, published.base, ids))
        if published.fired is not None:
            await work.journal.set_clock(work.id, published.fired)
        self._next = dict(published.base)
        is_coming = False
        for batch_id, sealed in zip(ids, published.batches, strict=True):
            if not is_coming:
                await self._read_from(self._next_before(published.batches[-1].ends))
            is_coming = await self._read_until(sealed)
            batch = await work.journal.seal(work.id, self.name_batch, wait=work.labels_wait, at=sealed.sealed)
            if batch is None:
                await work.journal.skip_open(work.id)
            elif batch.id != batch_id:
                work.log.warning(
                    "a batch that another service sealed was read again, and has other rows now",
                    batch=batch.id,
                    published=batch_id,
                )
            reach("restored")
        await self._stop_reading()

    async def _read_until(self, batch: Sealed) -> bool:
        """Read the batch's events of each partition, and no more; tell whether events after it have been read too."""
        ahead: deque[Item] = deque()
        is_coming = True
        while wanted := self._next_before(batch.ends):
            if not self._items and sum(item.size for item in ahead) > MAX_AHEAD:
                ahead.clear()
                is_coming = False
                await self._read_from(wanted)
            items = await self._fetched()
            for item in items:
                if not isinstance(item, Broken) and (rest := item.until(batch.ends[item.topic, item.partition])):
                    ahead.append(rest)
                if isinstance(item, Run):
                    item.received = min(item.received, batch.sealed)
                    self._counts.reread_rows += item.rows
            await self._take(items)
        self._items.extendleft(reversed(ahead))
        self._waiting += sum(item.size for item in ahead)
        return is_coming

    def _next_before(self, ends: Offsets) -> Offsets:
        """Return the positions of partitions that have events to read before these offsets."""
        return {at: self._next[at] for at, end in ends.items() if self._next[at] < end}

    async def _read_from(self, offsets: Offsets) -> None:
        await self._stop_reading()
        await self._group.reading.assign(self, offsets)

    async def _stop_reading(self) -> None:
        await self._group.reading.unassign(self)
        self._items.clear()
        self._waiting = 0

    # Reading

    def offer(self, item: Item) -> int:
        """Take fetched messages; return how many bytes wait."""
        self._items.append(item)
        self._waiting += item.size
        self._came.ring()
        return self._waiting

    async def _fetched(self) -> list[Item]:
        """Wait for fetched messages, and return as many as fit a transaction."""
        if not self._items:
            await self._group.reading.resume(self)
        while not self._items:
            await self._came.wait()
        items, size = [], 0
        while self._items and size < MAX_TOGETHER:
            items.append(self._items.popleft())
            size += items[-1].size
        self._waiting -= size
        return items

    async def _read(self) -> None:
        """Keep what is fetched; runs until cancelled."""
        while True:
            try:
                await self._take(await self._fetched())
            except SourceStuck as error:
                await self._group.reading.pause(self)
                await self._stay_stuck(error)
            if self._share() >= 1:
                await self._group.reading.pause(self)
                while self._share() > RESUMED_AT:
                    with trio.move_on_after(ROOM_SECONDS):  # other collectors may make room too
                        await self._settled.wait()

    def _share(self) -> float:
        """Return the share of the room for undelivered events that is taken."""
        limits, journal = self._work.service.limits, self._work.journal
        return max(
            journal.buffered_bytes(self._work.id) / limits.max_collector_bytes,
            journal.buffered_bytes_in_all / limits.max_buffered_bytes,
        )

    async def _take(self, items: Sequence[Item]) -> None:
        """Keep what was fetched, in one transaction; raise SourceStuck at a bad message, once all before it is kept."""
        frames: list[Fetched] = []
        reached: Offsets = {}
        stuck = None
        for item in items:
            if isinstance(item, Broken):
                stuck = await self._trouble_of(item)
            else:
                at = (item.topic, item.partition)
                if isinstance(item, Run):
                    self._problem = ""
                    item.begin_at(reached.get(at, self._next[at]))
                    stuck = await self._sift(item)
                    frames += item.frames(self.value_format, self._sizes(sum(one.frame.rows for one in frames)))
                reached[at] = max(item.next, reached.get(at, self._next[at]))
            if stuck is not None:
                break
        await self._keep(frames, {at: next_ for at, next_ in reached.items() if next_ > self._next[at]})
        if stuck is not None:
            raise stuck

    def _note_passed(self) -> None:
        """Publish a position behind messages without events, if no rows wait: else they count as lag for an hour."""
        if not self._work.journal.waiting(self._work.id).rows:
            self._changed.ring()

    async def _trouble_of(self, item: Broken) -> SourceStuck | None:
        at = (item.topic, item.partition)
        where = f"{item.topic}, partition {item.partition}"
        if item.is_gone:
            next_ = self._next[at]
            first, _ = (await self._group.ask(lambda brokers: brokers.ends([at])))[at]
            self._counts.skipped_offsets[*at, next_] = max(0, first - next_)
            return SourceStuck(
                f"{where}: offset {next_} is gone, and the first that is there is {first}: the topic's "
                "retention has removed events that were not read; set the offset with kafka-consumer-groups "
                "--reset-offsets, while no service runs"
            )
        self._problem = f"{where} can't be read: {item.error}"
        return None

    async def _sift(self, run: Run) -> SourceStuck | None:
        """Take messages that are no events out of a run, or end the run before the first one and return the error."""
        if run.unchecked:
            await check_tables(run, self._check_table)
        if run.rejected and self._group.config.errors_tolerance == "none":
            bad = run.rejected[0]
            offset = bad.message.offset() or 0
            run.until(offset)
            return SourceStuck(
                f"{run.topic}, partition {run.partition}, offset {offset} isn't an event: {bad.told}; to leave such "
                'messages out, write "errors_tolerance": "all" into kafka'
            )
        if run.rejected:
            self._counts.dead_letters += await self._group.reject(self._work.id, run.rejected)
            self._counts.rejected.update(one.reason for one in run.rejected)
        return None

    async def _check_table(self, body: bytes) -> Counted:
        """Check a message in a process that it may end. If none can be started, try again."""
        while True:
            try:
                counted = await self._work.tools.workers.check_body("arrow", body, self._group.bounds())
            except (NotReady, EvaluationError) as error:
                self._problem = f"messages can't be checked: {error}"
                await trio.sleep(ROOM_SECONDS)
            else:
                self._problem = ""
                return counted

    async def _keep(self, frames: Sequence[Fetched], reached: Offsets) -> None:
        journal = self._work.journal
        while reached:
            await journal.wait_until_sound()
            try:
                await journal.keep_fetched(self._work.id, frames, reached)
                break
            except StorageError:  # the journal's ``trouble`` tells it, and the events are still in Kafka
                await trio.sleep(ROOM_SECONDS)
        reach("fetched")
        self._next |= reached
        if reached and not frames:
            self._note_passed()

    def _sizes(self, more: int) -> Iterator[float]:
        """Yield the most rows that each next frame may have, so that no batch gets more than its trigger's rows."""
        rows = self._work.config.trigger.rows
        if rows is None:
            return repeat(math.inf)
        waiting = (self._work.journal.waiting(self._work.id).rows + more) % rows
        return chained([rows - waiting], repeat(rows))

    # Publishing positions and batches

    def _count_commit(self, outcome: str) -> None:
        self._counts.commits[outcome] += 1

    async def _read_chain(self, begun: dict[str, str]) -> Chain:
        begun[self._work.id] = self._digest()
        writer, reading = await self._work.journal.reading(self._work.id)
        if reading is None:
            raise OwnershipLost
        chain = Chain.of(reading, writer, self._wanted.tasks_max)
        self._is_full, self._unpublished = chain.is_full, 0
        self._tell_settled()
        return chain

    async def _publish(self) -> None:
        """Publish what changes, and repeat it before it expires; runs until cancelled."""
        while True:
            with trio.move_on_after(TOUCH_SECONDS):
                await self._changed.wait()
            await self._fence()
            reach("published")

    async def _measure_lag(self) -> None:
        """Find out how many messages are still to be read; runs until cancelled."""
        while True:
            at = list(self._next)
            ends = await self._group.ask(lambda brokers: brokers.nexts(at))  # noqa: B023  (it is asked at once)
            self._counts.lag = {one: max(0, end - self._next[one]) for one, end in ends.items()}
            await trio.sleep(LAG_SECONDS)

    async def _find_partitions(self) -> None:
        """Read new partitions of the topics from their beginning; runs until cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            counts = await self._group.ask(lambda brokers: brokers.partitions(self._wanted.topics))
            at = self._share_of(counts)
            if new := {one: 0 for one in at if one not in self._next}:
                await self._work.journal.keep_fetched(self._work.id, (), new)
                self._next |= new
                await self._fence()
                await self._group.reading.assign(self, new)

    async def _sweep(self) -> None:
        """Remove snapshots that a frozen service sent after it had lost the collector; runs until cancelled."""
        await trio.sleep(SWEEP_DELAY)
        while True:
            work = self._work
            with suppress(DeliveryError):  # the workspace doesn't answer, and deliveries say so
                if removed := await ask_workspace(work, work.workspace.remove_twins, "twins"):
                    self._counts.twins_removed += removed
                    work.log.warning("snapshots that were sent twice are removed from the workspace", snapshots=removed)
            await trio.sleep(SWEEP_SECONDS)
