"""The writer by itself: which orders share a transaction, what is done on the event loop, what a refusal does."""

import math
import sqlite3
import threading
from contextlib import asynccontextmanager, closing

import pytest
import trio
from machine import PATIENCE
from trio.testing import wait_all_tasks_blocked

from collector.disk.health import Health
from collector.errors import JournalBroken, StorageError
from collector.store import writer as writers
from collector.store.body_files import BodyFiles
from collector.store.data_dir import DataDir
from collector.store.unsynced import Unsynced
from collector.store.writer import MAX_QUICK_BYTES, SLOW_COMMIT, Writer


class World:
    """A writer of a table of numbers, its connection's statements, and the thread of each order."""

    def __init__(self, connection, data_dir):
        self.health, self.unsynced, self.data_dir = Health(), Unsynced(BodyFiles(data_dir)), data_dir
        self.statements, self.threads = [], []
        self.connection = connection
        connection.execute("CREATE TABLE number(value UNIQUE)")
        connection.set_trace_callback(self.statements.append)
        self.writer = Writer(connection, data_dir, self.health, self.unsynced)

    def order(self, value, size=0, apply=None):
        def run(db):
            self.threads.append(threading.get_ident())
            db.execute("INSERT INTO number VALUES (?)", (value,))
            return value

        return self.writer.order(run, apply, size)

    def commits(self):
        return self.statements.count("COMMIT")

    def numbers(self):
        return [value for (value,) in self.connection.execute("SELECT value FROM number ORDER BY rowid")]

    @asynccontextmanager
    async def running(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.writer.run)
            yield
            nursery.cancel_scope.cancel()


@pytest.fixture
def world(tmp_path):
    data_dir = DataDir(tmp_path)
    with closing(sqlite3.connect(data_dir.journal, check_same_thread=False, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        yield World(connection, data_dir)


def raise_(error):
    def run(_):
        raise error

    return run


def as_sqlite(code, text="so says SQLite"):
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


async def test_all_who_wait_share_one_transaction(world):
    orders = [world.order(value) for value in range(5)]
    async with world.running():
        with trio.fail_after(PATIENCE):
            assert [await order.wait() for order in orders] == list(range(5))
    assert (world.commits(), world.numbers()) == (1, list(range(5)))


async def test_an_error_of_one_is_its_own_and_the_others_are_kept(world):
    orders = [world.order(value) for value in (1, 1, 2)]
    assert world.writer.commit()
    assert (orders[0].value, orders[2].value, world.numbers()) == (1, 2, [1, 2])
    with pytest.raises(StorageError, match="UNIQUE"):
        _ = orders[1].value
    assert world.health.trouble == ""


async def test_results_are_applied_in_the_order_of_the_transactions_and_before_who_waits_goes_on(world):
    applied = []
    orders = [world.order(value, apply=applied.append) for value in range(3)]
    async with world.running():
        with trio.fail_after(PATIENCE):
            await orders[2].wait()
        assert applied == [0, 1, 2]


async def test_what_is_small_is_committed_at_once_on_the_event_loop(world):
    world.order(1)
    assert world.writer.commit()
    assert world.threads == [threading.get_ident()]
    assert world.unsynced.has_commits


@pytest.mark.parametrize("why", ["large", "slow", "synced"])
async def test_what_takes_longer_is_left_to_the_thread(world, why):
    if why == "synced":
        world.connection.execute("PRAGMA synchronous = FULL")
        world.writer = Writer(world.connection, world.data_dir, world.health, world.unsynced)
    if why == "slow":
        world.writer._commit_seconds = 2 * SLOW_COMMIT  # noqa: SLF001  (as a slow disk would have it)
    order = world.order(1, size=MAX_QUICK_BYTES + 1 if why == "large" else 0)
    assert not world.writer.commit()
    async with world.running():
        with trio.fail_after(PATIENCE):
            await order.wait()
    assert world.threads != [threading.get_ident()]


async def test_nothing_is_to_be_committed_where_nothing_is_ordered(world):
    assert world.writer.commit()
    assert (world.commits(), world.unsynced.has_commits) == (0, False)


async def test_nothing_is_committed_at_once_while_the_thread_is_at_work(world):
    """What came of it must be told first."""
    begun, release = threading.Event(), threading.Event()

    def hold(_):
        begun.set()
        release.wait(PATIENCE)

    async with world.running():
        held = world.writer.order(hold, None, MAX_QUICK_BYTES + 1)
        assert not world.writer.commit()
        await wait_all_tasks_blocked()
        later = world.order(2)
        assert not world.writer.commit()
        release.set()
        with trio.fail_after(PATIENCE):
            await held.wait()
            assert await later.wait() == 2


async def test_what_the_disk_refuses_is_taken_down_and_nothing_of_it_is_kept(world):
    order = world.writer.order(raise_(as_sqlite(sqlite3.SQLITE_FULL)), None, 0)
    assert world.writer.commit()
    with pytest.raises(StorageError, match=r"the disk is full.*nothing of the request was kept"):
        _ = order.value
    assert "the disk is full" in world.health.trouble
    assert not world.health.is_losing


async def test_a_commit_whose_sync_failed_is_overwritten_in_the_log(world):
    """After a crash it would be taken for one that was answered for."""
    first, lost = world.order(1), world.writer.order(raise_(as_sqlite(sqlite3.SQLITE_IOERR_FSYNC)), None, 0)
    assert world.writer.commit()
    for order in (first, lost):  # together in a transaction, they are together refused
        with pytest.raises(StorageError):
            _ = order.value
    assert (world.health.is_losing, world.numbers()) == (True, [])
    assert world.connection.execute("PRAGMA application_id").fetchone() != (0,)


@pytest.mark.parametrize("is_at_once", [True, False])
async def test_a_journal_that_is_broken_ends_its_writer_and_leaves_a_mark(world, is_at_once):
    size = 0 if is_at_once else MAX_QUICK_BYTES + 1
    world.writer.order(raise_(as_sqlite(sqlite3.SQLITE_CORRUPT)), None, size)
    assert not world.writer.commit()
    with trio.fail_after(PATIENCE), pytest.raises(JournalBroken, match="restart the service"):
        await world.writer.run()
    assert world.data_dir.journal_mark.exists()


async def test_a_log_is_long_by_what_was_written_since_it_began(world, monkeypatch):
    monkeypatch.setattr("collector.store.unsynced.LONG_LOG", 2 * writers.SMALL_STEP)
    monkeypatch.setattr(writers, "SLOW_COMMIT", math.inf)  # on a busy machine the first may take long
    for value in (1, 2):
        assert not world.unsynced._log_is_long.is_set()  # noqa: SLF001  (nothing else tells without waiting)
        world.order(value)
        assert world.writer.commit()
    with trio.fail_after(PATIENCE):
        await world.unsynced.wait_for_long_log()
