"""Frames ordered to be kept without a word of HTTP, as a second source of events would."""

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from fakes import FakeSupervisor, collector_config

from collector.config import CollectorServiceConfig
from collector.errors import BadBody, BufferFull, KeyReused, NotReady, TooManyColumns, UnknownCollector
from collector.formats.frames import check_body
from collector.ingest.intake import Intake
from collector.ingest.spool import Spool
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal

ROW = b'{"a": {"0": 1}}'


async def _check(format_, path, bounds):
    return await trio.to_thread.run_sync(check_body, format_, path, bounds)


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


def intake_of(journal, **limits):
    config = CollectorServiceConfig.parse({"limits": limits}).with_collector(collector_config())
    spool = Spool(journal.data_dir, journal, _check, is_synced=False)
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
        with pytest.raises(error, match="no more may wait"):
            intake.admit("main")


async def test_a_collector_that_is_not_there_takes_nothing(make_intake):
    intake = make_intake()
    frame = intake.check("json", ROW)
    for refused in (lambda: intake.admit("nobody"), lambda: intake.order("nobody", frame)):
        with pytest.raises(UnknownCollector) as raised:
            refused()
        intake.count_refusal("nobody", raised.value)
    assert intake._supervisor.counts.refused_requests["unknown_collector"] == 2  # noqa: SLF001
