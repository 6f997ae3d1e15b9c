import json
import math
import os
import sqlite3
import threading
from collections import defaultdict
from contextlib import asynccontextmanager, closing
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
import trio
from disks import append, order_append
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import PATIENCE
from trio.testing import assert_checkpoints, wait_all_tasks_blocked
from worlds import HoldWhileThreadsWork

from collector.config import Idempotency, Retention
from collector.disk.health import Health
from collector.errors import JournalBroken, KeyReused, StorageError
from collector.formats.frames import Frame, check_frame
from collector.store.body_files import BodyFiles
from collector.store.data_dir import DataDir
from collector.store.journal import KEYS_INTERVAL, Journal, open_journal
from collector.store.parts import write_part
from collector.store.records import Batch, NewColumns, Part, Verdict
from collector.store.schema import upgrade
from collector.store.steps import batches, collectors, keys, parts
from collector.store.unsynced import Unsynced
from collector.store.writer import Writer

MANY = 10**9
# The frames that aren't in parts.
LIVE = (
    "(SELECT * FROM frame WHERE NOT EXISTS (SELECT 1 FROM moved "
    "WHERE moved.collector = frame.collector AND seq BETWEEN first_seq AND last_seq))"
)


def _frame(rows=1):
    return check_frame("json", json.dumps({"id": list(range(rows))}).encode())


def _state(journal, collector="main"):
    waiting = journal.waiting(collector)
    return waiting.rows, waiting.frame_rows, waiting.frame_bytes


def _query(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def _append(journal, *rows, collector="main"):
    for count in rows:
        await append(journal, collector, _frame(count))


async def _spilled(journal, path="parts/1.parquet", rows=MANY, collector="main", batch=None, size=None):
    """Enter a part in place of the oldest frames, without writing it."""
    run = await journal.next_run(collector, batch, rows, MANY)
    assert await journal.spill(run, Part(path, run.rows, run.size if size is None else size))
    return run


# Frames in


async def test_append_tells_the_rows_that_wait(journal):
    await append(journal, "main", _frame(2))
    assert journal.waiting("main").rows == 2
    await append(journal, "main", _frame(3))
    assert journal.waiting("main").rows == 5
    await append(journal, "other", _frame(1))
    assert journal.waiting("other").rows == 1
    assert _state(journal) == (5, 5, len(_frame(2).body) + len(_frame(3).body))


async def test_a_frame_without_rows_is_not_kept(journal, path):
    await append(journal, "main", _frame(0))
    assert journal.waiting("main").rows == 0
    assert _query(path, "SELECT COUNT(*) FROM frame") == [(0,)]


async def test_an_answered_frame_is_on_disk_as_it_came(journal, path):
    frame = _frame(2)
    await append(journal, "main", frame)
    assert _query(path, "SELECT collector, batch, format, rows, size, body FROM frame") == [
        ("main", None, "json", 2, len(frame.body), frame.body)
    ]


async def test_what_is_ordered_may_be_committed_at_once(journal, path):
    orders = [order_append(journal, "main", check_frame("json", b'{"a": [1]}')) for _ in range(3)]
    assert journal.commit()
    assert [order.value for order in orders] == [True, True, True]
    assert journal.commit()
    assert (journal.waiting("main").rows, _query(path, "SELECT COUNT(*) FROM frame")) == (3, [(3,)])


async def test_while_a_thread_writes_nothing_is_committed_before_it(journal, monkeypatch):
    """What came of it must be counted first: a collector that is forgotten has the later rows, and no others."""
    await _append(journal, 5)
    begun, release = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()
    forget = collectors.forget

    def halting(*args):
        token.run_sync_soon(begun.set)
        release.wait()
        return forget(*args)

    monkeypatch.setattr(collectors, "forget", halting)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.forget, "main")
        await begun.wait()
        order = order_append(journal, "main", check_frame("json", b'{"a": [1]}'))
        assert not journal.commit()
        release.set()
        assert await order.wait()
    assert journal.waiting("main").rows == 1


async def test_with_power_durability_nothing_is_committed_on_the_event_loop(path):
    async with open_journal(DataDir(path.parent), "power") as journal:
        order = order_append(journal, "main", check_frame("json", b'{"a": [1]}'))
        assert not journal.commit()
        assert await order.wait()


async def test_an_error_of_one_that_is_committed_at_once_is_its_own(journal):
    orders = [order_append(journal, "main", check_frame("json", b'{"a": [1]}'), "key", digest) for digest in "ab"]
    orders.append(order_append(journal, "main", check_frame("json", b'{"a": [1]}')))
    assert journal.commit()
    assert orders[0].value
    with pytest.raises(KeyReused):
        _ = orders[1].value
    assert orders[2].value
    assert journal.waiting("main").rows == 2


async def test_rows_are_waited_for_exactly(journal):
    done = trio.Event()

    async def wait():
        await journal.wait_for_rows("main", 5)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await _append(journal, 4)
        await _append(journal, 10, collector="other")
        await wait_all_tasks_blocked()
        assert not done.is_set()
        await _append(journal, 1)
        await done.wait()


async def test_rows_that_wait_already_are_not_waited_for(journal):
    await _append(journal, 5)
    with assert_checkpoints():
        await journal.wait_for_rows("main", 5)


@pytest.mark.parametrize(("rows", "max_bytes"), [(3, MANY), (MANY, 30)], ids=["rows", "bytes"])
async def test_a_spill_is_due_by_the_rows_or_bytes_of_frames_alone(journal, rows, max_bytes):
    """What is in parts already doesn't count; the body of one row has 11 bytes."""
    assert len(_frame(1).body) == 11
    await _append(journal, 1, 1, 1)
    await journal.wait_for_spill("main", lambda: (rows, max_bytes))
    await _spilled(journal)
    with trio.move_on_after(0) as scope:
        await journal.wait_for_spill("main", lambda: (rows, max_bytes))
    assert scope.cancelled_caught
    assert _state(journal) == (3, 0, 0)


async def test_a_cancelled_append_is_all_or_nothing(journal, path):
    with trio.CancelScope() as scope:
        scope.cancel()
        await append(journal, "main", _frame(2))
    assert scope.cancelled_caught
    await _append(journal, 3)
    assert _query(path, "SELECT SUM(rows) FROM frame") == [(journal.waiting("main").rows,)]


# Idempotency keys


async def test_a_known_key_keeps_nothing_again(journal):
    for is_new in (True, False):
        assert await append(journal, "main", _frame(2), "key", "d1") == is_new
        assert journal.waiting("main").rows == 2
    await append(journal, "other", _frame(2), "key", "d1")
    assert journal.waiting("other").rows == 2
    await append(journal, "main", _frame(2), "key 2", "d1")
    assert journal.waiting("main").rows == 4


async def test_a_key_with_another_body_is_refused_alone(journal):
    await append(journal, "main", _frame(2), "key", "d1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_append, journal, 1)  # shares the transaction
        with pytest.raises(KeyReused, match="the idempotency key 'key' came before with another body"):
            await append(journal, "main", _frame(4), "key", "0d")
    assert journal.waiting("main").rows == 3


async def test_a_key_survives_a_restart_and_is_forgotten_after_a_day(path, monkeypatch):
    async with open_journal(DataDir(path.parent)) as journal:
        await append(journal, "main", _frame(1), "key", "d1")
    async with open_journal(DataDir(path.parent)) as journal:
        await append(journal, "main", _frame(1), "key", "d1")
        assert journal.waiting("main").rows == 1
        later = Idempotency().seconds + 1
        now = _query(path, "SELECT opened FROM idempotency_slice")[0][0]
        monkeypatch.setattr("collector.store.journal.time.time", lambda: now + later)
        await append(journal, "main", _frame(1), "key", "0d")
        assert journal.waiting("main").rows == 2


async def test_keys_that_are_let_go_of_are_removed_a_few_at_a_time(path, monkeypatch, autojump_clock):
    monkeypatch.setattr(keys, "SWEPT_KEYS", 2)
    kept = Idempotency(max_keys=3)
    trio.lowlevel.add_instrument(HoldWhileThreadsWork(autojump_clock))

    async def wait_for_keys(count):
        with trio.fail_after(10 * KEYS_INTERVAL):
            while _query(path, "SELECT COUNT(*) FROM idempotency_key") != [(count,)]:  # noqa: ASYNC110  (threads do it)
                await trio.sleep(1)

    async with open_journal(DataDir(path.parent)) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.tend_keys, lambda: kept)
        for number in range(8):
            await append(journal, "main", _frame(1), f"key {number}", "d1", kept)
        await append(journal, "other", _frame(1), "quiet", "d1", kept)
        assert set(journal.dropped_keys()) == {"main"}
        await wait_for_keys(4)
        assert not await append(journal, "main", _frame(1), "key 7", "d1", kept)
        await journal.forget("main")
        await wait_for_keys(1)
        assert (journal.dropped_keys(), await append(journal, "other", _frame(1), "quiet", "d1", kept)) == ({}, False)
        nursery.cancel_scope.cancel()


# Batches


@pytest.mark.parametrize(
    ("frames", "wanted", "sealed", "left"),
    [
        ([50], 5, 50, 0),
        ([1, 1, 1, 1, 1], 5, 5, 0),
        ([2, 2, 2, 2], 5, 6, 2),
        ([5, 5], 5, 5, 5),
        ([3, 4], math.inf, 7, 0),
    ],
)
async def test_a_batch_is_cut_after_whole_frames(journal, frames, wanted, sealed, left):
    await _append(journal, *frames)
    batch = await journal.seal("main", "b1", wanted)
    assert (batch.id, batch.state, batch.rows) == ("b1", "sealed", sealed)
    assert journal.waiting("main").rows == journal.waiting("main").frame_rows == left
    assert await journal.batches("main", "sealed") == [batch]


async def test_too_few_rows_make_no_batch(journal):
    await _append(journal, 2, 2)
    assert await journal.seal("main", "b1", 5) is None
    assert journal.waiting("main").rows == 4
    assert await journal.batches("main", "sealed") == []


async def test_parts_are_sealed_before_frames(journal):
    await _append(journal, 2, 2)
    await _spilled(journal)
    await _append(journal, 3, 3)
    assert (await journal.seal("main", "b1", 5)).rows == 7
    assert [part.rows for part in await journal.parts("b1")] == [4]
    assert _state(journal) == (3, 3, len(_frame(3).body))


async def test_nothing_waits_nothing_is_sealed(journal):
    assert await journal.seal("main", "b1") is None
    assert await journal.batches("main", "sealed") == []


async def test_a_batchs_window_is_from_its_first_row_to_its_sealing(journal, monkeypatch):
    moments = iter([100.0, 200.0, 300.0, 400.0])
    monkeypatch.setattr("collector.store.journal.time.time", lambda: next(moments))
    await _append(journal, 1, 1)
    batch = await journal.seal("main", "b1", 1)
    assert (batch.opened, batch.sealed) == (100.0, 300.0)
    assert (await journal.seal("main", "b2")).opened == 200.0


async def test_a_batch_is_never_sealed_before_its_first_row_came(journal, monkeypatch):
    """The clock was set back meanwhile."""
    moments = iter([200.0, 100.0])
    monkeypatch.setattr("collector.store.journal.time.time", lambda: next(moments))
    await _append(journal, 1)
    batch = await journal.seal("main", "b1")
    assert (batch.opened, batch.sealed) == (200.0, 200.0)
    assert await journal.batches("main", "sealed") == [batch]


async def test_a_batch_goes_through_its_states(journal):
    await _append(journal, 1)
    batch = await journal.seal("main", "b1")
    evaluated = await journal.mark(batch, "evaluated", outcome={"report_id": "r"}, attempts=1, error="x")
    assert await journal.batches("main", "sealed") == []
    assert await journal.batches("main", "evaluated") == [evaluated]
    assert (evaluated.outcome, evaluated.attempts, evaluated.error) == ({"report_id": "r"}, 1, "x")


async def test_what_came_of_a_batch_is_kept_beyond_it_and_a_restart(journal, path):
    verdict = Verdict(1, 0.25, is_bad=True, told={"rows": 1})
    for id_ in ("b1", "b2"):
        await _append(journal, 1)
        await journal.keep_outcome(await journal.seal("main", id_), {"generation": "modern"}, verdict, 9)
    first, second = await journal.batches("main", "evaluated")
    assert (first.outcome, first.state) == ({"generation": "modern"}, "evaluated")
    await journal.finish(first)
    await journal.prune("main", Retention(batches=0))
    await journal.keep_failure(second, 9, error="never")
    assert [batch.error for batch in await journal.batches("main", "failed")] == ["never"]
    async with open_journal(DataDir(path.parent)) as again:
        told = [(one.batch, one.state, one.error, one.outcome) for one in await again.snapshots("main", 9)]
    assert told == [("b2", "rejected", "never", {"rows": 1}), ("b1", "delivered", "", {"rows": 1})]
    assert [one.batch for one in await journal.snapshots("main", 1)] == ["b2"]


async def test_batches_come_as_they_were_sealed_in_any_of_the_states_asked_for(journal):
    """Their ids have the clock's time, which may have been set back."""
    for id_ in ("b2", "b1", "b3"):
        await _append(journal, 1)
        await journal.seal("main", id_)
    await journal.mark((await journal.batches("main", "sealed"))[0], "failed")
    assert [batch.id for batch in await journal.batches("main", "sealed", "failed")] == ["b2", "b1", "b3"]
    assert [batch.id for batch in await journal.batches("main", "sealed")] == ["b1", "b3"]
    assert await journal.batches("other", "sealed") == []


async def _delivered(journal, *ids, size=100, collector="main"):
    """Have batches of one row in one part delivered, one after the other."""
    for id_ in ids:
        await _append(journal, 1, collector=collector)
        await _spilled(journal, f"parts/{id_}.parquet", collector=collector, size=size)
        await journal.finish(await journal.seal(collector, id_))


def _paths(*ids):
    return [f"parts/{id_}.parquet" for id_ in ids]


async def test_a_delivered_batch_keeps_its_parts_until_it_is_pruned(journal):
    """They come in the order of their rows, whatever their names."""
    await _append(journal, 1, 1)
    await _spilled(journal, "parts/2.parquet", rows=1)
    await _spilled(journal, "parts/1.parquet", rows=1)
    batch = await journal.seal("main", "b1")
    await journal.finish(batch)
    assert await journal.known_files() == ({"parts/1.parquet", "parts/2.parquet"}, {"b1"}, set())
    assert await journal.prune("main", Retention(batches=0)) == (["parts/2.parquet", "parts/1.parquet"], ["b1"])
    assert await journal.known_files() == (set(), set(), set())
    assert [(kept.id, kept.state) for kept in await journal.batches("main", "delivered")] == [("b1", "delivered")]


@pytest.mark.parametrize(
    ("retention", "gone"),
    [
        (Retention(batches=2), ["b2", "b1"]),
        (Retention(batches=10), []),
        (Retention(batches=10, max_bytes=300), ["b1"]),
        (Retention(batches=10, max_bytes=99), ["b4", "b3", "b2", "b1"]),
        (Retention(batches=3, max_bytes=200), ["b2", "b1"]),
    ],
    ids=repr,
)
async def test_the_newest_delivered_batches_are_kept_within_every_limit(journal, retention, gone):
    await _delivered(journal, "b1", "b2", "b3", "b4", size=100)
    await _delivered(journal, "other", collector="other")
    await _append(journal, 1)
    await journal.seal("main", "waits")
    assert await journal.prune("main", retention) == (_paths(*gone), gone)
    assert await journal.prune("main", retention) == ([], [])
    assert (await journal.known_files())[1] == {"b1", "b2", "b3", "b4", "other"} - set(gone)


async def test_a_delivered_batch_is_kept_for_a_time_from_its_delivery(journal, monkeypatch):
    monkeypatch.setattr("collector.store.journal.time.time", lambda: 100.0)
    await _append(journal, 1)
    await _spilled(journal)
    batch = await journal.seal("main", "b1")
    for now, gone in ((500.0, []), (560.0, []), (561.0, ["b1"])):
        monkeypatch.setattr("collector.store.journal.time.time", lambda now=now: now)
        if now == 500.0:
            await journal.finish(batch)
        assert (await journal.prune("main", Retention(seconds=60)))[1] == gone


async def test_only_the_newest_delivered_batches_stay_known(journal, monkeypatch):
    """And those whose parts are kept, and those that aren't delivered."""
    monkeypatch.setattr(batches, "KEPT_BATCHES", 2)
    await _append(journal, 1)
    await journal.seal("main", "waits")
    await _delivered(journal, "b1", "b2", "b3")
    await _delivered(journal, "other", collector="other")
    for kept, known in ((3, ["b1", "b2", "b3"]), (0, ["b2", "b3"])):
        await journal.prune("main", Retention(batches=kept))
        assert [batch.id for batch in await journal.batches("main", "sealed", "delivered")] == ["waits", *known]
    assert [batch.id for batch in await journal.batches("other", "delivered")] == ["other"]


# Bytes that aren't delivered


async def test_bytes_count_until_they_are_delivered(path):
    """As frames, then as the parts that they became; after a restart too."""
    seen = []
    async with open_journal(DataDir(path.parent)) as journal:
        await _append(journal, 1, 1)  # 11 bytes each
        seen.append(journal.buffered_bytes("main"))
        await _spilled(journal, rows=1, size=100)
        batch = await journal.seal("main", "b1")
        seen.append(journal.buffered_bytes("main"))
        await _append(journal, 1, collector="other")
    async with open_journal(DataDir(path.parent)) as journal:
        seen.append((journal.buffered_bytes("main"), journal.buffered_bytes_in_all))
        await journal.mark(batch, "failed")
        await journal.retry("main")
        await _spilled(journal, "parts/2.parquet", batch="b1", size=50)
        seen.append((journal.buffered_bytes("main"), journal.buffered_bytes_in_all))
        for _ in range(2):  # a delivery that is marked again counts once
            await journal.finish(batch)
        seen.append((journal.buffered_bytes("main"), journal.buffered_bytes_in_all))
    assert seen == [22, 111, (111, 122), (150, 161), (0, 11)]
    async with open_journal(DataDir(path.parent)) as journal:
        assert (journal.buffered_bytes("main"), journal.buffered_bytes_in_all) == (0, 11)


async def test_what_is_forgotten_or_not_kept_is_no_bytes(journal):
    await append(journal, "main", _frame(1), "key", "d1")
    await append(journal, "main", _frame(1), "key", "d1")
    assert journal.buffered_bytes("main") == 11
    await _append(journal, 1, collector="other")
    await journal.forget("main")
    assert (journal.buffered_bytes("main"), journal.buffered_bytes_in_all) == (0, 11)


async def test_parts_are_known_by_their_new_paths(journal):
    await _append(journal, 1)
    await _spilled(journal, "parts/1.parquet")
    await journal.seal("main", "b1")
    await journal.move_parts({"parts/1.parquet": "failed/b1/1.parquet"})
    assert [part.path for part in await journal.parts("b1")] == ["failed/b1/1.parquet"]


async def test_files_that_are_known(journal):
    for id_ in ("b1", "b2"):
        await _append(journal, 1)
        await _spilled(journal, f"parts/{id_}.parquet")
        await journal.seal("main", id_)
    await journal.mark((await journal.batches("main", "sealed"))[0], "evaluated")
    assert await journal.known_files() == ({"parts/b1.parquet", "parts/b2.parquet"}, {"b1"}, set())


# Spilling


@pytest.mark.parametrize(
    ("rows", "max_bytes", "taken"), [(3, MANY, 3), (2, MANY, 1), (0, MANY, 1), (MANY, 20, 1), (MANY, MANY, 6)]
)
async def test_a_run_is_the_oldest_frames_up_to_a_limit_but_at_least_one(journal, rows, max_bytes, taken):
    await _append(journal, 1, 2, 3)
    run = await journal.next_run("main", None, rows, max_bytes)
    assert (run.rows, run.collector) == (taken, "main")


async def test_no_frames_no_run(journal):
    await _append(journal, 1, collector="other")
    assert await journal.next_run("main", None, MANY, MANY) is None


async def test_a_spill_that_races_with_a_seal_in_its_midst_changes_nothing(journal):
    await _append(journal, 2, 2)
    run = await journal.next_run("main", None, MANY, MANY)
    await journal.seal("main", "b1", 1)
    assert not await journal.spill(run, Part("parts/1.parquet", 4, 100))
    assert await journal.known_files() == (set(), set(), set())
    assert _state(journal) == (2, 2, len(_frame(2).body))


async def test_a_spill_that_races_with_a_seal_of_all_goes_into_the_batch(journal):
    await _append(journal, 2, 2)
    run = await journal.next_run("main", None, MANY, MANY)
    await _append(journal, 1)
    await journal.seal("main", "b1", 5)
    assert await journal.spill(run, Part("parts/1.parquet", 4, 100))
    assert await journal.parts("b1") == [Part("parts/1.parquet", 4, 100)]
    assert _state(journal) == (0, 0, 0)


async def test_frames_of_a_part_go_a_few_at_a_time_and_count_no_longer_at_once(path, monkeypatch):
    """A crash between leaves some, which the next life doesn't count either, and removes."""
    monkeypatch.setattr(parts, "SWEPT_FRAMES", 2)
    sweep, has_time = parts.sweep, iter([True, True, False])  # before the run is found, and after it is moved

    async with open_journal(DataDir(path.parent)) as journal:
        await _append(journal, 1, 1, 1, 1, 1)
        with monkeypatch.context() as patched:
            patched.setattr(parts, "sweep", lambda *args: sweep(*args) if next(has_time) else None)
            await _spilled(journal, rows=4, size=100)
        assert _state(journal)[:2] == (5, 1)
    assert _query(path, "SELECT COUNT(*) FROM frame") == [(3,)]
    async with open_journal(DataDir(path.parent)) as journal:
        assert _state(journal)[:2] == (5, 1)
        await wait_all_tasks_blocked()
        assert (await journal.seal("main", "b1")).rows == 5
    assert _query(path, "SELECT COUNT(*) FROM frame") == [(1,)]


async def test_a_run_is_found_beside_what_is_written(journal, monkeypatch):
    """It may take 30 ms, in which others' commits go on."""
    await _append(journal, 1)
    monkeypatch.setattr(Journal, "_sweep", _leave)
    begun, release = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def look(*_):
        token.run_sync_soon(begun.set)
        release.wait()

    monkeypatch.setattr(collectors, "select_logs", look)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.logs, "main")
        await begun.wait()
        assert (await journal.next_run("main", None, MANY, MANY)).rows == 1
        release.set()


async def test_a_run_is_of_one_state_of_the_journal(journal, path, monkeypatch):
    """While it is looked for, others seal."""
    look = parts.last_moved

    def seal_meanwhile(db, *args):
        found = look(db, *args)
        monkeypatch.undo()
        with closing(sqlite3.connect(path)) as other, other:
            batches.seal(other, "main", "b1", math.inf, 1.0)
        return found

    await _append(journal, 2, 2)
    monkeypatch.setattr(parts, "last_moved", seal_meanwhile)
    run = await journal.next_run("main", None, MANY, MANY)
    assert (run.frames, run.rows) == (2, 4)


async def test_a_spill_of_what_is_forgotten_changes_nothing(journal):
    await _append(journal, 2)
    run = await journal.next_run("main", None, MANY, MANY)
    await journal.forget("main")
    assert not await journal.spill(run, Part("parts/1.parquet", 2, 100))
    assert await journal.known_files() == (set(), set(), set())


async def test_rows_of_damaged_frames_count_no_longer(journal):
    """In the open batch, in a sealed one, and where no row of a run is left."""
    await _append(journal, 2, 2)
    run = await journal.next_run("main", None, MANY, MANY)
    assert await journal.spill(run, Part("parts/1.parquet", 3, 100))
    assert (_state(journal), journal.buffered_bytes("main")) == ((3, 0, 0), 100)
    await _append(journal, 4)
    await journal.seal("main", "b1")
    run = await journal.next_run("main", "b1", MANY, MANY)
    assert await journal.spill(run, Part("parts/2.parquet", 0, 0))
    assert [batch.rows for batch in await journal.batches("main", "sealed")] == [3]
    assert await journal.parts("b1") == [Part("parts/1.parquet", 3, 100)]
    assert (_state(journal), journal.buffered_bytes("main")) == ((0, 0, 0), 100)


async def test_parts_that_cannot_be_read_are_dropped_from_their_batch(journal):
    for number in (1, 2):
        await _append(journal, number)
        await _spilled(journal, f"parts/{number}.parquet", size=100)
    batch = await journal.seal("main", "b1")
    left = await journal.drop_parts(batch, ["parts/2.parquet", "parts/gone.parquet"])
    assert (left.rows, await journal.batches("main", "sealed")) == (1, [left])
    assert [part.path for part in await journal.parts("b1")] == ["parts/1.parquet"]
    assert journal.buffered_bytes("main") == 100


# Clocks and logs


async def test_a_clock_starts_once_and_survives_a_restart(path):
    async with open_journal(DataDir(path.parent)) as journal:
        assert await journal.clock("main", 100.0) == 100.0
        assert await journal.clock("main", 200.0) == 100.0
        await journal.set_clock("main", 300.0)
    async with open_journal(DataDir(path.parent)) as journal:
        assert await journal.clock("main", 400.0) == 300.0
        assert await journal.clock("other", 400.0) == 400.0


@pytest.mark.parametrize(
    ("keep", "kept"), [(2, [4, 3]), (10, [4, 3, 2, 1, 0]), (0, [4, 3, 2, 1, 0]), (-1, [4, 3, 2, 1, 0])]
)
async def test_a_log_is_newest_first_and_trimmed(journal, keep, kept):
    await journal.log("other", {"number": -1}, keep)
    for number in range(5):
        await journal.log("main", {"number": number}, keep)
    assert await journal.logs("main") == [{"number": number} for number in kept]
    assert await journal.logs("other") == [{"number": -1}]


# Forgetting


async def test_forgetting_drops_all_of_one_collector_and_tells_what_was_undelivered(journal, path):
    await _delivered(journal, "delivered")
    for collector in ("main", "other"):
        await append(journal, collector, _frame(2), "key", "d1")
        await _spilled(journal, f"parts/{collector}.parquet", collector=collector)
        await journal.seal(collector, f"b-{collector}")
        await _append(journal, 3, collector=collector)
        await journal.set_clock(collector, 100.0)
        await journal.log(collector, {}, 10)
        await journal.mark_forgotten(collector)
        await journal.keep_failure(Batch(f"f-{collector}", collector, "sealed", 1, 0, 1), 9, error="no")
        journal.order_columns(collector, NewColumns(0, 0, b"12345678"), lambda _: None)
        await journal.enter_dashboard(collector, "workspace project")
    assert await journal.forget("main") == (5, _paths("main", "delivered"), ["delivered", "b-main"])
    assert (_state(journal), journal.waiting("other").rows) == ((0, 0, 0), 3)
    for table in (
        "frame",
        "part",
        "batch",
        "snapshot",
        "clock",
        "log",
        "idempotency_slice",
        "forgotten",
        "open_columns",
        "dashboard",
    ):
        assert _query(path, f"SELECT DISTINCT collector FROM {table} WHERE collector <> ''") == [("other",)]


async def test_that_a_dashboard_was_made_is_known_by_collector_and_place(journal):
    for _ in range(2):
        await journal.enter_dashboard("main", "workspace project")
    asked = [("main", "workspace project"), ("main", "workspace other"), ("other", "workspace project")]
    assert [await journal.has_dashboard(*pair) for pair in asked] == [True, False, False]


async def test_a_collector_that_is_renamed_gets_a_dashboard_of_its_own(journal):
    """The one that was made shows the snapshots of the old id."""
    await journal.enter_dashboard("main", "workspace project")
    await journal.rename("main", "other", {})
    assert not await journal.has_dashboard("other", "workspace project")


async def test_one_who_waits_for_rows_is_not_forgotten_with_them(journal):
    done = trio.Event()

    async def wait():
        await journal.wait_for_rows("main", 5)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        await journal.forget("main")
        await _append(journal, 5)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert done.is_set()


async def test_a_seal_ordered_while_a_forgetting_waits_is_counted_right(path):
    """All three share a transaction, in this order: nothing is open after it."""
    connection = _schema(path)
    journal, writer = _unwritten(connection, path)
    async with trio.open_nursery() as nursery:
        for order in ((journal.forget, "main"), (_append, journal, 2), (journal.seal, "main", "b1")):
            nursery.start_soon(*order)
            await wait_all_tasks_blocked()
        async with trio.open_nursery() as writing:
            writing.start_soon(writer.run)
            await journal.logs("main")
            writing.cancel_scope.cancel()
    assert _query(path, "SELECT rows FROM frame WHERE batch = 'b1'") == [(2,)]
    assert _state(journal) == (0, 0, 0)
    connection.close()


# What a disk refuses


def _unwritten(connection, path):
    """Make a journal whose orders wait until its writer runs."""
    health = Health()
    data_dir = DataDir(path.parent)
    unsynced = Unsynced(BodyFiles(data_dir))
    writer = Writer(connection, data_dir, health, unsynced)
    return Journal(connection, data_dir, writer, health, unsynced), writer


def _schema(path):
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    upgrade(connection)
    return connection


@asynccontextmanager
async def _nearly_full(path):
    """A journal on a disk with room for ten pages of 4096 bytes."""
    connection = _schema(path)
    connection.execute("VACUUM")  # of the free pages that older formats left
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    try:
        async with trio.open_nursery() as nursery:
            journal, writer = _unwritten(connection, path)
            nursery.start_soon(writer.run)
            yield journal
            nursery.cancel_scope.cancel()
    finally:
        connection.close()


async def test_a_write_that_does_not_fit_fails_alone_and_keeps_nothing(path):
    refused = []

    async def append_large(journal):
        try:
            await append(journal, "main", Frame("json", bytes(20 * 4096), 7), "key", "d1")
        except StorageError as error:
            refused.append(str(error))

    async with _nearly_full(path) as journal:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_append, journal, 1)
            nursery.start_soon(append_large, journal)
            nursery.start_soon(_append, journal, 2)
        assert (len(refused), journal.waiting("main").rows) == (1, 3)
        assert "nothing of the request was kept" in refused[0]
        await append(journal, "main", _frame(1), "key", "0d")
        assert journal.waiting("main").rows == 4  # its key isn't known either
    assert _query(path, "SELECT SUM(rows) FROM frame") == [(4,)]


async def test_a_full_disk_takes_again_once_there_is_room(path):
    async with _nearly_full(path) as journal:
        large = Frame("json", bytes(6 * 4096), 1)
        await append(journal, "main", large)
        with pytest.raises(StorageError):
            await append(journal, "main", large)
        await journal.forget("main")
        await append(journal, "main", large)
        assert journal.waiting("main").rows == 1


# Opening


async def test_a_journal_that_breaks_ends_with_its_mark(path):
    """What waits for it is answered nothing: the process ends, and the next start recovers."""

    async def work():
        async with open_journal(DataDir(path.parent)) as journal:
            await _append(journal, 1)
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA writable_schema = ON")
                wrong = "(SELECT rootpage FROM sqlite_master WHERE name = 'frame_by_batch')"
                connection.execute(f"UPDATE sqlite_master SET rootpage = {wrong} WHERE name = 'frame'")
                connection.execute("PRAGMA schema_version = 1000")  # has others read it again
                connection.commit()
            await _append(journal, 1)

    with pytest.raises(JournalBroken, match="is broken; restart the service: it recovers what is sound"):
        await work()
    assert DataDir(path.parent).journal_mark.exists()


async def test_a_mark_that_a_worker_sets_ends_it_too(path, monkeypatch):
    monkeypatch.setattr("collector.store.tending.SYNC_INTERVAL", 0.01)

    async def work():
        async with open_journal(DataDir(path.parent)):
            DataDir(path.parent).journal_mark.touch()
            await trio.sleep_forever()

    with pytest.raises(JournalBroken, match="is broken"), trio.fail_after(PATIENCE):
        await work()


async def test_a_backlog_that_is_gone_leaves_little_room_behind(path, monkeypatch):
    """The file gives back all but what is kept free, a few pages at a time; the log is cut to its limit."""
    for name, value in (("SYNC_INTERVAL", 0.01), ("KEPT_PAGES", 10), ("VACUUMED_PAGES", 20)):
        monkeypatch.setattr(f"collector.store.tending.{name}", value)
    monkeypatch.setattr("collector.store.connect.MAX_WAL_BYTES", 65536)
    monkeypatch.setattr("collector.store.unsynced.LONG_LOG", 65536)
    async with open_journal(DataDir(path.parent)) as journal:
        [(empty_pages,)] = _query(path, "PRAGMA page_count")
        for _ in range(80):
            await append(journal, "main", Frame("json", bytes(100_000), 1))
        with trio.fail_after(PATIENCE):
            while path.stat().st_size < 1_000_000:  # noqa: ASYNC110  (it is moved there by a thread)
                await trio.sleep(0.01)
            await _spilled(journal)
            while path.stat().st_size > (empty_pages + 20) * 4096:
                await _append(journal, 1, collector="other")
                await trio.sleep(0.01)
        assert path.with_name(path.name + "-wal").stat().st_size < 5_000_000


async def test_a_restart_knows_what_waits(path):
    async with open_journal(DataDir(path.parent)) as journal:
        await _append(journal, 2, 3)
        await _spilled(journal, rows=2)
        await _append(journal, 1, collector="other")
        before = _state(journal), _state(journal, "other")
        await _append(journal, 1, collector="sealed")
        await journal.seal("sealed", "b1")
    async with open_journal(DataDir(path.parent)) as journal:
        assert (_state(journal), _state(journal, "other")) == before
        assert _state(journal, "sealed") == (0, 0, 0)


async def test_what_is_committed_reaches_the_disk_within_a_second(path, monkeypatch, autojump_clock):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    trio.lowlevel.add_instrument(HoldWhileThreadsWork(autojump_clock))
    async with open_journal(DataDir(path.parent)) as journal:
        await trio.sleep(5)
        assert synced == []  # nothing was written
        await _append(journal, 1)
        await trio.sleep(1.5)
    assert len(synced) == 1


# All of it, against a model


class _Model:
    """Where each row is: by collector and batch (None: the open one) in parts, then in frames."""

    def __init__(self):
        self.rows = 0
        self.parts = defaultdict(list)
        self.frames = defaultdict(list)

    def new_rows(self, count):
        self.rows += count
        return list(range(self.rows - count, self.rows))

    def waiting(self, collector):
        framed = sum(map(len, self.frames[collector, None]))
        return sum(map(len, self.parts[collector, None])) + framed, framed

    def seal(self, collector, batch, rows):
        taken = sum(map(len, self.parts[collector, None]))
        count = 0
        for frame in self.frames[collector, None]:
            if taken >= rows:
                break
            taken += len(frame)
            count += 1
        if taken < rows < math.inf:
            return 0
        if taken:
            self.parts[collector, batch] = self.parts.pop((collector, None), [])
            self.frames[collector, batch] = self.frames[collector, None][:count]
            self.frames[collector, None] = self.frames[collector, None][count:]
        return taken

    def batches(self, collector):
        return [key[1] for key in list(self.frames) if key[0] == collector and key[1] is not None]

    def places(self):
        places = {key: list(chain(*self.parts[key], *self.frames[key])) for key in [*self.parts, *self.frames]}
        return {key: rows for key, rows in places.items() if rows}


class _Machine:
    """Does each step to the journal and to the model, and compares what they say."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.path = self.directory / "journal.sqlite3"
        self.model = _Model()
        self.names = 0

    def _name(self):
        self.names += 1
        return f"{self.names:04}"

    async def append(self, journal, collector, rows):
        ids = self.model.new_rows(rows)
        await append(journal, collector, check_frame("json", json.dumps({"id": ids}).encode()))
        if ids:
            self.model.frames[collector, None].append(ids)
        assert journal.waiting(collector).rows == self.model.waiting(collector)[0]

    async def append_to_both(self, journal, collector, rows):
        """Keep rows for a collector and the other, as if that followed it."""
        ids, [other] = self.model.new_rows(rows), {"a", "b"} - {collector}
        frame = check_frame("json", json.dumps({"id": ids}).encode())
        await order_append(journal, collector, frame, followers=[other]).wait()
        for one in "ab" if ids else "":
            self.model.frames[one, None].append(ids)

    async def seal(self, journal, collector, rows):
        name = self._name()
        batch = await journal.seal(collector, name, rows or math.inf)
        assert (batch.rows if batch else 0) == self.model.seal(collector, name, rows or math.inf)

    async def spill(self, journal, collector, rows, *, race=0, batch=None):
        run = await journal.next_run(collector, batch, rows, MANY)
        frames = list(self.model.frames[collector, batch])
        assert (run is None) == (not frames)
        if run is None:
            return
        name = self._name()
        size = write_part(str(self.directory), collector, run.first, run.last, str(self.directory / name)).size
        if race:
            await self.seal(journal, collector, race)
        taken = frames[: next(n for n in range(len(frames) + 1) if sum(map(len, frames[:n])) == run.rows)]
        known = (batch, *self.model.batches(collector))
        owner = next(key for key in known if taken[0] in self.model.frames[collector, key])
        whole = self.model.frames[collector, owner][: len(taken)] == taken
        assert await journal.spill(run, Part(name, run.rows, size)) == whole
        if whole:
            self.model.parts[collector, owner].append(list(chain(*taken)))
            del self.model.frames[collector, owner][: len(taken)]

    async def spill_batch(self, journal, collector, rows):
        for batch in self.model.batches(collector):
            await self.spill(journal, collector, rows, batch=batch)

    async def finish(self, journal, collector, _):
        for batch in await journal.batches(collector, "sealed"):
            if not self.model.frames[collector, batch.id]:
                await journal.finish(batch)
                paths, _ = await journal.prune(collector, Retention(batches=0))
                gone = self.model.parts.pop((collector, batch.id))
                del self.model.frames[collector, batch.id]
                assert [pq.read_table(self.directory / path)["id"].to_pylist() for path in paths] == gone

    async def forget(self, journal, collector, _):
        rows, _, _ = await journal.forget(collector)
        gone = [key for key in self.model.places() if key[0] == collector]
        assert rows == sum(len(self.model.places()[key]) for key in gone)
        for key in {*self.model.parts, *self.model.frames}:
            if key[0] == collector:
                self.model.parts.pop(key, None)
                self.model.frames.pop(key, None)

    async def run(self, lives):
        for has_time, steps in lives:
            with pytest.MonkeyPatch.context() as patched:
                if not has_time:
                    patched.setattr(Journal, "_sweep", _leave)
                await self.live(steps)
            assert self.places() == self.model.places()

    async def live(self, steps):
        async with open_journal(DataDir(self.directory)) as journal:
            for kind, collector, rows, race in steps:
                options = {"race": race} if kind == "spill" else {}
                await getattr(self, kind)(journal, collector, rows, **options)
                assert _state(journal, collector)[:2] == self.model.waiting(collector)
                assert journal.buffered_bytes(collector) == self.bytes(collector)

    def bytes(self, collector):
        tables = (f"SELECT TOTAL(size) FROM {table} WHERE collector = '{collector}'" for table in (LIVE, "part"))
        return sum(_query(self.path, sql)[0][0] for sql in tables)

    def places(self):
        found = defaultdict(list)
        for collector, batch, name in _query(self.path, "SELECT collector, batch, path FROM part ORDER BY first_seq"):
            found[collector, batch] += pq.read_table(self.directory / name)["id"].to_pylist()
        for collector, batch, body in _query(self.path, f"SELECT collector, batch, body FROM {LIVE} ORDER BY seq"):
            found[collector, batch] += json.loads(body)["id"]
        return found


async def _leave(*_):
    """Remove none of the frames that are in parts."""


MOVES = st.tuples(
    st.sampled_from(
        [
            "append",
            "append",
            "append_to_both",
            "append_to_both",
            "seal",
            "spill",
            "spill",
            "spill_batch",
            "finish",
            "forget",
        ]
    ),
    st.sampled_from("ab"),
    st.integers(0, 6),
    st.integers(0, 6),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.lists(MOVES, max_size=15)), min_size=1, max_size=3))
def test_after_any_history_each_row_is_in_exactly_one_place(lives):
    """Appends, seals, spills (with a seal in their midst or not), deliveries, forgetting, and restarts.

    In some lives nothing has the time to remove frames that are in parts.
    """
    with TemporaryDirectory() as directory:
        trio.run(_Machine(directory).run, lives)


def test_the_model_notices_a_row_too_many(tmp_path):
    """The machine itself can fail: a row that the model doesn't know is found."""
    machine = _Machine(tmp_path)

    async def smuggle():
        async with open_journal(DataDir(machine.directory)) as journal:
            await append(journal, "a", _frame(1))

    trio.run(smuggle)
    with pytest.raises(AssertionError):
        trio.run(machine.run, [(True, [])])
