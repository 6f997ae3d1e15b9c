"""Looking, over a real journal and a supervisor that is a fake."""

import pytest
import trio
from disks import append
from fakes import FakeSupervisor, collector_config
from machine import PATIENCE

from collector.config import CollectorServiceConfig
from collector.errors import UnknownCollector
from collector.formats.frames import Frame
from collector.status.verdict import verdict_of
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.views.page import looking as module
from collector.views.page.looking import Looking
from collector.views.page.overview import Query
from collector.views.page.rows import key_of

from .pasts import past, value_of


@pytest.fixture
async def journal(tmp_path):
    with open_data_dir(tmp_path / "data") as data_dir:
        async with open_journal(data_dir) as opened:
            yield opened


@pytest.fixture
def supervisor(journal):
    config = CollectorServiceConfig()
    for name in ("main", "other"):
        config = config.with_collector(collector_config(name))
    return FakeSupervisor(journal, config)


async def make_snapshots(journal, collector, count, **told):
    """Enter snapshots as a pipeline does."""
    for number in range(count):
        await append(journal, collector, Frame("json", b"{}", 5))
        batch = await journal.seal(collector, f"0190-{collector}-{number}")
        outcome = dict(past(values=[value_of(number), value_of(1, "F1"), value_of(2, "Recall")], **told).outcome)
        await journal.keep_outcome(batch, outcome, verdict_of(outcome), 1000)


async def test_what_is_less_than_a_second_old_is_shown_to_all(journal, supervisor, monkeypatch):
    looks, told = [], supervisor.service_status
    monkeypatch.setattr(supervisor, "service_status", lambda: looks.append(1) or told())
    monkeypatch.setattr(module, "INTERVAL", PATIENCE)  # a first look may take a second
    looking = Looking(supervisor, journal)
    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(looking.overview, Query())
    assert len(looks) == 1
    monkeypatch.setattr(module, "INTERVAL", 0)
    await looking.overview(Query())
    assert len(looks) == 2


async def test_a_collector_that_is_deleted_while_it_is_looked_for_is_unknown(journal, supervisor, monkeypatch):
    told = supervisor.service_status

    def without_it():
        supervisor.config = supervisor.config.without_collector("main")
        return told()

    monkeypatch.setattr(supervisor, "service_status", without_it)
    with pytest.raises(UnknownCollector):
        await Looking(supervisor, journal).collector("main")


async def test_the_last_snapshots_are_told_from_the_journal(journal, supervisor):
    await make_snapshots(journal, "main", 60, drift=[("age", 0.3)], tests=2, failed=["x < 1"])
    looking = Looking(supervisor, journal)
    row = (await looking.overview(Query())).pieces[key_of("main")]
    assert "1 of 2 tests failed" in row
    assert "age 0.3 &gt; 0.1" in row
    assert "drift share, last 30: now 100%" in row
    assert "Accuracy, last 30: now 59, between 30 and 59" in row
    pieces = (await looking.collector("main")).pieces
    assert pieces["snapshots"].count("<tr ") == 50
    assert "Recall, last 50" in pieces["plots"]


async def test_only_those_that_made_a_snapshot_are_read_again(journal, supervisor, monkeypatch):
    read, back = [], journal.look_back

    async def look_back(collectors, *args, **how):
        read.append(collectors)
        return await back(collectors, *args, **how)

    monkeypatch.setattr(journal, "look_back", look_back)
    monkeypatch.setattr(module, "INTERVAL", 0)
    looking = Looking(supervisor, journal)
    await looking.overview(Query())
    await looking.overview(Query())
    assert read == [["main", "other"]]


async def test_what_is_seen_of_a_collector_goes_on_though_it_is_deleted(journal, supervisor, monkeypatch):
    monkeypatch.setattr(module, "INTERVAL", 0)
    looking = Looking(supervisor, journal)
    await looking.collector("main")
    await supervisor.delete("main", lambda _: None)
    assert key_of("main") not in (await looking.overview(Query())).pieces
    with pytest.raises(UnknownCollector):
        await looking.collector("main")


async def test_a_collector_that_has_just_been_added_has_a_page(journal, supervisor):
    looking = Looking(supervisor, journal)
    await looking.overview(Query())
    await supervisor.put(collector_config("new"))
    assert "None yet." in (await looking.collector("new")).pieces["snapshots"]
