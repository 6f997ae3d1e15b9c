"""Frames ordered to be kept without a word of HTTP, as a second source of events would."""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from disks import append
from fakes import FakeSupervisor, collector_config

from collector.config import CollectorServiceConfig
from collector.errors import (
    BadBody,
    BufferFull,
    IsFollower,
    KeyReused,
    NotReady,
    StorageError,
    TooManyColumns,
    UnknownCollector,
)
from collector.formats.frames import check_body
from collector.ingest.intake import Intake
from collector.ingest.spool import Spool
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal

ROW = b'{"a": {"0": 1}}'


async def _check(format_, body, bounds):
    return await trio.to_thread.run_sync(check_body, format_, body, bounds)


@asynccontextmanager
async def opened(directory):
    with open_data_dir(directory) as data_dir:
        async with open_journal(data_dir) as journal:
            journal.data_dir = data_dir
            yield journal


@pytest.fixture
async def journal(tmp_path):
    async with opened(tmp_path / "data") as journal:
        yield journal


@pytest.fixture
def make_intake(journal):
    return partial(intake_of, journal)


def intake_of(journal, followers=(), **limits):
    """Make an intake for ``main``; ``followers`` of it are given with what they do when they are full."""
    config = CollectorServiceConfig.parse({"limits": limits}).with_collector(collector_config())
    for name, when_full in dict(followers).items():
        config = config.with_collector(collector_config(name, events_from="main", when_full=when_full))
    spool = Spool(journal, _check, None, is_synced=False)
    return Intake(FakeSupervisor(journal, config), journal, spool)


async def kept(intake, body, key=""):
    """Do what a source does with a body."""
    intake.admit("main")
    pending = intake.order("main", intake.check("json", body), key)
    await pending.wait_done()
    return pending.finish()


async def test_a_frame_is_kept_and_counted(make_intake, journal):
    intake = make_intake()
    assert await kept(intake, ROW)
    counts = intake._supervisor.counts.of("main")  # noqa: SLF001
    assert (journal.waiting("main").rows, counts.accepted_requests, counts.accepted_bytes) == (1, 1, len(ROW))


async def test_a_frame_that_comes_again_with_its_key_is_kept_once(make_intake, journal):
    intake = make_intake()
    assert [await kept(intake, ROW, "k") for _ in range(2)] == [True, False]
    assert journal.waiting("main").rows == 1


async def test_a_key_that_comes_with_other_rows_is_refused(make_intake, journal):
    intake = make_intake()
    await kept(intake, ROW, "k")
    with pytest.raises(KeyReused):
        await kept(intake, b'{"a": [2]}', "k")
    assert journal.waiting("main").rows == 1


async def test_the_columns_of_an_open_batch_count_after_a_restart(tmp_path):
    for name in "abc":
        async with opened(tmp_path) as journal:
            await kept(intake_of(journal, max_columns=3), b'{"%s": {"0": 1}}' % name.encode())
    async with opened(tmp_path) as journal:
        intake = intake_of(journal, max_columns=3)
        with pytest.raises(TooManyColumns, match="open batch has 3 columns"):
            await kept(intake, b'{"d": {"0": 1}}')
        await journal.seal("main", "b")
        await kept(intake, b'{"d": {"0": 1}}')
    async with opened(tmp_path) as journal:
        assert len(journal.columns("main").names) == 8  # of "d" alone


async def test_what_was_ordered_together_may_be_committed_at_once(make_intake, journal):
    intake = make_intake()
    pending = [intake.order("main", intake.check("json", ROW)) for _ in range(3)]
    assert intake.commit()
    assert [one.finish() for one in pending] == [True] * 3
    assert journal.waiting("main").rows == 3


async def test_what_is_no_table_makes_no_frame(make_intake):
    with pytest.raises(BadBody):
        make_intake().check("json", b"5")


async def test_a_full_buffer_admits_nothing(make_intake):
    for limit, error in (("max_collector_bytes", BufferFull), ("max_buffered_bytes", NotReady)):
        intake = make_intake(**{limit: len(ROW)})
        if limit == "max_collector_bytes":
            await kept(intake, ROW)
        with pytest.raises(error, match="which is the limit"):
            intake.admit("main")


async def test_a_collector_that_is_not_there_takes_nothing(make_intake):
    intake = make_intake()
    frame = intake.check("json", ROW)
    for refused in (lambda: intake.admit("nobody"), lambda: intake.order("nobody", frame)):
        with pytest.raises(UnknownCollector) as raised:
            refused()
        intake.count_refusal("nobody", raised.value)
    assert intake._supervisor.counts.refused_requests["unknown_collector"] == 2  # noqa: SLF001


# Followers

SKIPS, REFUSES = {"f": "skip"}, {"f": "refuse"}


def rows_of(journal, *collectors):
    return [journal.waiting(one).rows for one in collectors or ("main", "f")]


async def test_each_follower_gets_a_frame_once(make_intake, journal):
    intake = make_intake({"f": "refuse", "g": "skip"})
    assert await kept(intake, ROW)
    assert await kept(intake, b'{"a": [1, 2]}', "key")
    assert rows_of(journal, "main", "f", "g") == [3, 3, 3]
    counts = intake._supervisor.counts  # noqa: SLF001
    assert [counts.of(one).accepted_requests for one in ("main", "f", "g")] == [2, 0, 0]  # it is no request to them


async def test_a_frame_that_comes_again_with_its_key_is_no_followers_again_either(make_intake, journal):
    intake = make_intake(REFUSES)
    assert [await kept(intake, ROW, "k") for _ in range(2)] == [True, False]
    assert rows_of(journal) == [1, 1]


async def test_frames_of_one_moment_are_their_followers_too(make_intake, journal):
    intake = make_intake(REFUSES)
    pending = [intake.order("main", intake.check("json", ROW), key) for key in ("", "k", "")]
    assert intake.commit()
    assert [one.finish() for one in pending] == [True] * 3
    assert rows_of(journal) == [3, 3]


async def test_a_frame_that_the_disk_refuses_is_nobodys(make_intake, journal, monkeypatch):
    intake = make_intake(REFUSES)
    monkeypatch.setattr("collector.store.writer.INSERT_FRAME", "INSERT INTO no_such_table VALUES (?, ?, ?, ?, ?, ?, ?)")
    with pytest.raises(StorageError):
        await kept(intake, ROW)
    assert rows_of(journal) == [0, 0]


async def test_a_follower_takes_no_events_and_names_its_leader(make_intake):
    intake = make_intake(REFUSES)
    for refused in (lambda: intake.admit("f"), lambda: intake.order("f", intake.check("json", ROW))):
        with pytest.raises(IsFollower, match=r"gets its events from 'main'.*send them to 'main'; nothing was kept"):
            refused()


async def test_a_follower_that_is_full_has_all_refused_and_is_named(make_intake, journal):
    await append(journal, "f", make_intake().check("json", ROW))
    intake = make_intake(REFUSES, max_collector_bytes=len(ROW))
    with pytest.raises(BufferFull, match="the events of 'f', which gets these events too, are not delivered yet"):
        intake.admit("main")
    assert rows_of(journal) == [0, 1]


async def test_a_follower_that_may_skip_is_passed_by_while_it_is_full(make_intake, journal):
    await append(journal, "f", make_intake().check("json", ROW))
    intake = make_intake(SKIPS, max_collector_bytes=len(ROW))
    assert await kept(intake, b'{"a": [1, 2]}')
    why = "15 bytes of its events are not delivered yet, which is the limit"
    assert (rows_of(journal), intake._supervisor.skipped) == ([2, 1], [("f", 2, why)])  # noqa: SLF001


async def test_a_frame_that_comes_again_passes_nobody_by_again(make_intake, journal):
    await append(journal, "f", make_intake().check("json", ROW))
    intake = make_intake(SKIPS, max_collector_bytes=2 * len(ROW))
    journal._count_bytes("f", len(ROW))  # noqa: SLF001  (it is full, and main isn't)
    assert [await kept(intake, ROW, "k") for _ in range(2)] == [True, False]
    assert len(intake._supervisor.skipped) == 1  # noqa: SLF001


async def test_columns_are_counted_for_each_follower(make_intake, journal):
    """The batch of one that is sealed more rarely has more of them."""
    intake = make_intake({"f": "refuse", "g": "skip"}, max_columns=2)
    await kept(intake, b'{"a": [1], "b": [2]}')
    await journal.seal("main", "m1")
    with pytest.raises(TooManyColumns, match="'f' gets these rows too, and its open batch has 2 columns"):
        await kept(intake, b'{"c": [3]}')
    assert rows_of(journal, "main", "f", "g") == [0, 1, 1]
    await journal.seal("f", "f1")
    await kept(intake, b'{"c": [3]}')
    assert rows_of(journal, "main", "f", "g") == [1, 1, 1]
    assert intake._supervisor.skipped == [("g", 1, "its open batch has 2 columns, and the limit is 2")]  # noqa: SLF001
    await kept(intake, b'{"c": [3], "d": [4]}')  # what was refused took no room
    assert rows_of(journal, "main", "f", "g") == [2, 2, 1]


async def test_the_columns_of_a_follower_count_after_a_restart(tmp_path):
    async with opened(tmp_path) as journal:
        await kept(intake_of(journal, REFUSES, max_columns=1), b'{"a": [1]}')
        await journal.seal("main", "m1")
    async with opened(tmp_path) as journal:
        with pytest.raises(TooManyColumns, match="'f' gets these rows too"):
            await kept(intake_of(journal, REFUSES, max_columns=1), b'{"b": [1]}')
