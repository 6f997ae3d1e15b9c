"""A collector's dashboard: made once, beside deliveries, and again when somebody asks."""

import pytest
import trio
from worlds import FORGETFUL, collector, delivered, rows_trigger, running, settled

from collector.errors import DeliveryError, EvaluationError, NoDashboard

EACH_ROW = rows_trigger(1)
LEGACY = {"metrics": [], "tests": [{"type": "evidently:test:X"}], "options": {}, "metadata": {}, "tags": []}


def notes(entries):
    return [entry["error"] for entry in entries if entry["type"] == "MakeDashboard"]


async def post_and_settle(world, rows=1):
    for _ in range(rows):
        await world.post(1)
        await settled()


async def test_it_is_made_with_the_first_snapshot_and_never_again(world):
    async with world() as w:
        for _ in range(2):  # also after a restart
            async with running(w.pipeline(collector(trigger=EACH_ROW, dashboard={"columns_max": 3}))):
                await post_and_settle(w, 2)
        assert w.workspace.shown == [("main", False)]
        assert [columns_max for _, columns_max in w.workers.looked_at] == [3]
        assert notes(await w.journal.logs("main")) == []


async def test_each_project_gets_one(world):
    async with world() as w:
        for project in ("a", "b", "a"):
            async with running(w.pipeline(collector(trigger=EACH_ROW, project_name=project))):
                await post_and_settle(w)
        assert len(w.workspace.shown) == 2


async def test_it_is_made_although_nothing_is_kept_of_delivered_batches(world):
    async with world() as w, running(w.pipeline(collector(trigger=EACH_ROW), FORGETFUL)):
        await post_and_settle(w)
        assert w.workspace.shown == [("main", False)]


async def test_it_is_not_made_of_a_snapshot_that_lacks_what_needs_a_reference(world):
    """It is made once, and would never show the drift of the batches that follow."""
    async with world() as w:
        made = collector(trigger=EACH_ROW, reference_from={"first_rows": 1})
        async with running(w.pipeline(made)):
            w.workers.outcome = {"awaits_reference": True}
            await post_and_settle(w)
            assert w.workspace.shown == []
            w.workers.outcome = {}
            await post_and_settle(w)
            assert w.workspace.shown == [("main", False)]


@pytest.mark.parametrize(
    "fields",
    [
        {"dashboard": False},
        {"report_config": LEGACY},
        {"is_cloud": True, "api_url": "https://cloud.example"},
    ],
    ids=["false", "legacy", "cloud"],
)
async def test_where_none_is_wanted_nothing_is_asked(world, fields):
    async with world() as w:
        pipeline = w.pipeline(collector(trigger=EACH_ROW, **fields))
        async with running(pipeline):
            await post_and_settle(w)
            with pytest.raises(NoDashboard, match="'main' gets no dashboard: "):
                await pipeline.show_dashboard()
        assert (w.workspace.shown, w.workers.looked_at) == ([], [])


async def test_cloud_gets_one_if_its_config_says_so(world):
    cloud = {"is_cloud": True, "api_url": "https://cloud.example", "dashboard": True}
    async with world() as w, running(w.pipeline(collector(trigger=EACH_ROW, **cloud))):
        await post_and_settle(w)
        assert w.workspace.shown == [("main", False)]


async def test_a_workspace_that_hangs_there_holds_no_delivery(world):
    async with world() as w:
        w.workspace.show_hold = trio.Event()
        async with running(w.pipeline(collector(trigger=EACH_ROW))):
            await post_and_settle(w, 3)
            assert w.workspace.rows == [[0], [1], [2]]
            w.workspace.show_hold.set()
            await settled()
        assert w.workspace.shown == [("main", False)]


async def test_a_workspace_that_hangs_there_is_given_up_after_a_while(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.show_hold = trio.Event()
        async with running(w.pipeline(collector(trigger=EACH_ROW))):
            await w.post(1)
            await delivered(w, 1)
            await trio.sleep(400)
            assert notes(await w.journal.logs("main")) == ["workspace took longer than 300 s"]


@pytest.mark.parametrize(
    "error", [DeliveryError("405"), RecursionError("deep"), KeyError("a")], ids=["no", "deep", "key"]
)
async def test_a_failure_is_a_note_and_is_tried_again_with_the_next_snapshot(world, error):
    async with world() as w:
        w.workspace.show_failures = [error, error]
        async with running(w.pipeline(collector(trigger=EACH_ROW))):
            await post_and_settle(w, 4)
        assert w.workspace.shown == [("main", False)] * 3
        assert len(w.workspace.rows) == 4
        [note] = notes(await w.journal.logs("main"))  # what doesn't change is told once
        assert str(error) in note


@pytest.mark.parametrize(
    "error", [EvaluationError("the worker process died"), ValueError("no JSON"), KeyError("type")], ids=str
)
async def test_a_snapshot_that_cannot_be_read_is_a_note(world, error):
    async with world() as w:
        w.workers.tab_failures = [error]
        async with running(w.pipeline(collector(trigger=EACH_ROW))):
            await post_and_settle(w, 2)
        assert len(notes(await w.journal.logs("main"))) == 1
        assert w.workspace.shown == [("main", False)]


async def test_a_persons_dashboard_is_left_alone_for_good_and_that_is_told(world):
    async with world() as w:
        w.workspace.is_a_persons = True
        async with running(w.pipeline(collector(trigger=EACH_ROW))):
            await post_and_settle(w, 2)
        assert w.workspace.shown == [("main", False)]
        [note] = notes(await w.journal.logs("main"))
        assert "'evidently-collector dashboard main' adds panels beside those" in note


async def test_who_asks_gets_it_made_again(world):
    async with world() as w:
        w.workspace.is_a_persons = True
        pipeline = w.pipeline(collector(trigger=EACH_ROW))
        async with running(pipeline):
            await post_and_settle(w, 2)
            assert await pipeline.show_dashboard() == 2
        newest = (await w.journal.batches("main", "delivered"))[-1]
        assert w.workers.looked_at[-1][0] == w.data_dir.snapshot(newest.id)
        assert w.workspace.shown == [("main", False), ("main", True)]


async def test_who_asks_before_there_is_a_snapshot_is_told_when_to_ask(world):
    async with world() as w:
        with pytest.raises(NoDashboard, match="repeat this after the next one is delivered"):
            await w.pipeline(collector(trigger=EACH_ROW)).show_dashboard()


async def test_what_was_made_on_asking_is_not_made_again_by_itself(world):
    async with world() as w:
        w.workspace.show_failures = [DeliveryError("away")]
        pipeline = w.pipeline(collector(trigger=EACH_ROW))
        async with running(pipeline):
            await post_and_settle(w)
            await pipeline.show_dashboard()
            await post_and_settle(w)
        assert w.workspace.shown == [("main", False), ("main", True)]


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (rows_trigger(500), "every 500 rows"),
        ({"type": "IntervalTrigger", "interval": 60}, "every 60 s"),
        ({"type": "CronTrigger", "schedule": "0 9 * * *"}, "at 0 9 * * * (UTC)"),
        ({"type": "EventTimeTrigger", "period": "1d"}, "for each 1d of their time (UTC)"),
        (
            {
                "type": "RowsCountOrIntervalTrigger",
                "rows_count_trigger": {"rows_count": 5},
                "interval_trigger": {"interval": 60},
            },
            "every 5 rows or 60 s",
        ),
    ],
    ids=["rows", "interval", "cron", "event time", "either"],
)
async def test_the_text_says_what_the_collector_is(world, monkeypatch, trigger, words):
    async with world() as w:
        told = []

        async def tab_of(_snapshot, _config, about, _segments):
            await trio.lowlevel.checkpoint()
            told.append(about)
            return {"collector": "main", "panels": []}

        monkeypatch.setattr(w.workers, "tab_of", tab_of)
        pipeline = w.pipeline(collector(trigger=trigger, timestamp_column="ts"))
        async with running(pipeline):
            await w.post(1)
            await pipeline.flush()
            await settled()
        [about] = told
        assert about.startswith("Collector 'main' computes DataDriftPreset over batches of its events, ")
        assert words in about
