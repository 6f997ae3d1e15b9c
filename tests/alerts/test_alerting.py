"""Alerts of a whole supervisor, whose workers and workspace are fakes, in fake time."""

import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from worlds import (
    collector,
    delivered,
    open_world,
    report_raised,
    rows_trigger,
    settled,
    states,
)

from collector.alerts import hearing
from collector.alerts.alerting import INTERVAL
from collector.alerts.sending import MAX_REJECTIONS
from collector.config import CollectorServiceConfig
from collector.config.alerts import shown_address
from collector.config.config_file import ConfigFile
from collector.errors import AlertRefused, AlertRejected, AlertUnsent, DeliveryError, Problem, StorageError
from collector.store.journal import Journal
from collector.store.steps.alerts import count_messages, put_state
from collector.supervision.supervisor import Supervisor
from collector.waiting.backoff import REFUSED_INTERVAL

from .receivers import HOOK, FakeSend, rule

OTHER = "https://other.example/token"
BAD = {"tests": {"passed": 1, "failed": 2}}
GOOD = {"tests": {"passed": 3}}


@pytest.fixture
def sent(monkeypatch):
    fake = FakeSend()
    monkeypatch.setattr("collector.alerts.sending.send", fake)
    return fake


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return what runs a service with rules on the same directory again and again."""

    @asynccontextmanager
    async def run(clock, *alerts, collectors=None, **fields):
        made = collectors or [collector("main", rows_trigger(1))]
        config = CollectorServiceConfig(collectors={one.id: one for one in made}, alerts=alerts, **fields)
        async with open_world(tmp_path, monkeypatch, clock) as world, trio.open_nursery() as nursery:
            config.save(world.base / "collector_config.json")
            supervisor = Supervisor(ConfigFile.open(world.base / "collector_config.json"), world.tools)
            world.supervisor = supervisor
            await nursery.start(supervisor.run)
            await settled()
            yield world
            nursery.cancel_scope.cancel()

    return run


async def batch(world, outcome, collector_id="main"):
    """Have a batch evaluated with this outcome, and delivered."""
    world.workers.outcome = outcome
    await world.post(1, collector_id)
    await settled()


async def edit(world, **fields):
    """Edit the config file, and have it taken."""
    path = world.base / "collector_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    await world.supervisor.reload()
    await settled()


async def test_a_change_is_told_once_and_so_is_its_end(start, sent, autojump_clock):
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        for outcome in [GOOD, BAD, BAD, GOOD, GOOD, BAD]:
            await batch(world, outcome)
    assert sent.told() == [["TestsFailed"], ["-TestsFailed"], ["TestsFailed"]]
    assert sent.summaries()[:2] == ["main: tests: 2 of 3 failed", "main: no test failed"]


async def test_a_batch_has_one_message_for_an_address_with_all_that_failed(start, sent, autojump_clock):
    rules = (rule("tests_failed", HOOK, OTHER), rule("metric_failed", HOOK), rule("drift", HOOK))
    async with start(autojump_clock, *rules) as world:
        await batch(world, BAD | {"failed_metrics": 1, "dataset_drift": True})
    assert (sent.told(), sent.told(OTHER)) == ([["TestsFailed", "MetricsFailed", "Drift"]], [["TestsFailed"]])


async def test_a_message_has_what_fires_still_beside_what_is_over(start, sent, autojump_clock):
    async with start(autojump_clock, rule("tests_failed", HOOK), rule("drift", HOOK)) as world:
        await batch(world, BAD | {"dataset_drift": True})
        await batch(world, GOOD | {"dataset_drift": True})
    assert sent.told() == [["TestsFailed", "Drift"], ["-TestsFailed", "Drift"]]
    assert [body["status"] for _, body in sent.taken] == ["firing", "firing"]


async def test_collectors_that_a_rule_is_not_about_are_not_told(start, sent, autojump_clock):
    made = [collector(name, rows_trigger(1)) for name in ("churn-eu", "fraud")]
    async with start(autojump_clock, rule("tests_failed", HOOK, collectors=["churn*"]), collectors=made) as world:
        for one in made:
            await batch(world, BAD, one.id)
    assert [body["groupLabels"] for _, body in sent.taken] == [{"collector": "churn-eu"}]


async def test_an_end_that_nobody_asked_for_is_not_told(start, sent, autojump_clock):
    async with start(autojump_clock, rule("tests_failed", HOOK, resolved=False)) as world:
        for outcome in [BAD, GOOD, BAD]:
            await batch(world, outcome)
    assert sent.told() == [["TestsFailed"], ["TestsFailed"]]


async def test_a_failed_batch_is_told_until_one_is_delivered(start, sent, autojump_clock):
    async with start(autojump_clock, rule("batch_failed", HOOK)) as world:
        world.workers.failures = [report_raised("ValueError: no column"), report_raised()]
        for _ in range(3):
            await batch(world, GOOD)
    assert sent.told() == [["BatchesFailed"], ["-BatchesFailed"]]
    assert sent.summaries()[0] == "main: a batch of 1 rows is kept under failed: ValueError: no column"


async def test_what_fires_is_told_again_now_and_then(start, sent, autojump_clock):
    rules = (rule("tests_failed", HOOK, repeat="10m"), rule("drift", HOOK))
    async with start(autojump_clock, *rules) as world:
        await batch(world, BAD | {"dataset_drift": True})
        for times in range(1, 4):
            await trio.sleep(600 + INTERVAL)
            await settled()
            assert len(sent.taken) == 1 + times
        await batch(world, GOOD)
        await trio.sleep(1200)
    both = ["TestsFailed", "Drift"]
    assert sent.told() == [both, both, both, both, ["-TestsFailed", "-Drift"]]


# Restarts and edits


async def test_a_restart_neither_repeats_nor_forgets(start, sent, autojump_clock):
    for outcomes in ([GOOD, BAD], [BAD], [BAD, GOOD], [GOOD]):
        async with start(autojump_clock, rule("tests_failed", HOOK, after=2)) as world:
            for outcome in outcomes:
                await batch(world, outcome)
    assert sent.told() == [["TestsFailed"], ["-TestsFailed"]]


async def test_what_was_not_sent_before_a_restart_is_sent_after_it(start, sent, autojump_clock):
    sent.failures[HOOK] = [AlertUnsent("for ever")]
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        await batch(world, BAD)
        await batch(world, GOOD)
    sent.failures.clear()
    async with start(autojump_clock, rule("tests_failed", HOOK)):
        await settled()
    assert sent.told() == [["TestsFailed"], ["-TestsFailed"]]


async def test_rules_are_taken_while_the_service_runs(start, sent, autojump_clock):
    async with start(autojump_clock) as world:
        await batch(world, BAD)
        await edit(world, alerts=[{"when": "tests_failed", "to": [HOOK]}])
        await batch(world, BAD)
        assert sent.told() == [["TestsFailed"]]
        await edit(world, alerts=[{"when": "tests_failed", "to": [HOOK, OTHER]}])
        await batch(world, BAD)
        assert (len(sent.told()), len(sent.told(OTHER))) == (2, 1), "another rule begins anew"
        await edit(world, alerts=[{"when": "tests_failed", "to": [HOOK, OTHER], "repeat": "1d"}])
        await batch(world, BAD)
        assert len(sent.taken) == 3, "how often it repeats makes it no other rule"
        await edit(world, alerts=[])
        await batch(world, GOOD)
        assert len(sent.taken) == 3
        assert await world.journal.alerts.read() == []


async def test_messages_to_an_address_that_is_taken_out_are_dropped(start, sent, autojump_clock):
    sent.failures[HOOK] = [AlertUnsent("for ever")]
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        await batch(world, BAD)
        await edit(world, alerts=[{"when": "tests_failed", "to": [OTHER]}])
        assert await world.journal.alerts.write(count_messages) == {}
        assert [counts.waiting for counts in world.supervisor.counts.alerts.values()] == [0, 0]


async def test_a_collector_that_is_deleted_takes_its_state_along(start, sent, autojump_clock):
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        await batch(world, BAD)
        await world.supervisor.delete("main")
        await world.supervisor.put(collector("main", rows_trigger(1)))
        await batch(world, BAD)
    assert sent.told() == [["TestsFailed"], ["TestsFailed"]]


async def test_a_collector_that_is_renamed_keeps_its_state(start, sent, autojump_clock):
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        await batch(world, BAD)
        await world.supervisor.rename("main", "new")
        await settled()
        await batch(world, BAD, "new")
        await batch(world, GOOD, "new")
    assert sent.told() == [["TestsFailed"], ["-TestsFailed"]]
    assert sent.summaries()[1] == "new: no test failed"


async def test_what_lasts_goes_on_under_a_collectors_new_id(start, sent, autojump_clock):
    """What was known of it here stood under the old id, and the journal's said for ever that it fires."""
    async with start(autojump_clock, rule("no_events", HOOK, for_="15m")) as world:
        await batch(world, GOOD)
        await trio.sleep(1000)
        await world.supervisor.rename("main", "new")
        await trio.sleep(2000)
        assert sent.told() == [["NoEvents"]]
        await batch(world, GOOD, "new")
        await trio.sleep(2 * INTERVAL)
        await settled()
        assert [state.is_firing for state in await world.journal.alerts.read()] == [False]
    assert sent.told() == [["NoEvents"], ["-NoEvents"]]
    assert sent.summaries()[1] == "new: events arrive again"


async def test_a_rule_that_names_a_collector_names_its_new_id_after_a_rename(start, sent, autojump_clock):
    """It was about nobody then, without a word."""
    rules = (rule("tests_failed", HOOK, collectors=["main", "x*"]), rule("drift", HOOK))
    async with start(autojump_clock, *rules) as world:
        await batch(world, BAD)
        await world.supervisor.rename("main", "new")
        await settled()
        await batch(world, BAD, "new")
        path = world.base / "collector_config.json"
        assert [one.collectors for one in ConfigFile.open(path).config.alerts] == [("new", "x*"), ("*",)]
        assert world.supervisor.config.alerts == ConfigFile.open(path).config.alerts
        assert len(sent.taken) == 1, "it is the same rule"
        await batch(world, GOOD, "new")
    assert sent.told() == [["TestsFailed"], ["-TestsFailed"]]


async def test_an_edit_of_other_rules_ends_nothing(start, sent, autojump_clock):
    async with start(autojump_clock, rule("no_events", HOOK, for_="15m")) as world:
        await batch(world, GOOD)
        await trio.sleep(1000)
        rules = json.loads((world.base / "collector_config.json").read_text())["alerts"]
        await edit(world, alerts=[*rules, {"when": "drift", "to": [OTHER]}])
        await trio.sleep(2000)
    assert sent.told() == [["NoEvents"]]


async def test_a_collector_that_was_taken_out_is_told_of_no_more_and_goes_on_if_it_is_put_back(
    start, sent, autojump_clock
):
    """Its alert was told again for ever, also long after events came again."""
    made = [collector("main", rows_trigger(5)), collector("other", rows_trigger(1))]
    rules = (rule("no_events", HOOK, for_="15m", repeat="1h", collectors=["main"]),)
    async with start(autojump_clock, *rules, collectors=made) as world:
        await world.post(1, "main")
        await trio.sleep(1000)
        assert len(sent.taken) == 1
        had = json.loads((world.base / "collector_config.json").read_text())["collectors"]
        await edit(world, collectors={"other": had["other"]})
        await trio.sleep(20_000)
        assert len(sent.taken) == 1
        await edit(world, collectors=had)
        await trio.sleep(2 * INTERVAL)
        await world.post(1, "main")
        await trio.sleep(20_000)
    assert [told for told in sent.told() if told != ["NoEvents"]] == [["-NoEvents"]]


async def test_what_fires_is_told_again_after_the_clock_was_set_back(start, sent, autojump_clock):
    async with start(autojump_clock, rule("tests_failed", HOOK, repeat="1h")) as world:
        await batch(world, BAD)
        [state] = await world.journal.alerts.read()
        await world.journal.alerts.write(lambda db: put_state(db, replace(state, told=state.told + 1e6)))
        await trio.sleep(3600)
        await settled()
    assert len(sent.taken) == 2


async def test_addresses_that_apprise_does_not_know_are_refused_in_an_edit(start, sent, autojump_clock, monkeypatch):
    monkeypatch.setattr("collector.config.alerts.find_spec", lambda _: True)
    monkeypatch.setattr("collector.alerts.by_apprise.problem_of", lambda _: "is none")
    async with start(autojump_clock) as world:
        with pytest.raises(Exception, match=r"alerts.0.to.0 \(line 1, column \d+\): is none"):
            await edit(world, alerts=[{"when": "drift", "to": ["slack://token"]}])
        assert world.supervisor.config.alerts == ()


# Addresses that are away


async def test_an_address_that_is_away_holds_neither_another_nor_a_batch_and_misses_nothing(
    start, sent, autojump_clock
):
    sent.failures[HOOK] = [AlertUnsent(f"away {number}") for number in range(12)]
    async with start(autojump_clock, rule("tests_failed", HOOK, OTHER)) as world:
        for outcome in [BAD, GOOD, BAD]:
            await batch(world, outcome)
        await delivered(world, 3)
        assert (sent.told(), len(sent.told(OTHER))) == ([], 3)
        counts = world.supervisor.counts.alerts[shown_address(HOOK)]
        assert (counts.waiting, counts.sent) == (3, 0)
        await trio.sleep(900)
        assert (counts.waiting, counts.sent, counts.failed, counts.dropped) == (0, 3, 12, 0)
    assert sent.told() == sent.told(OTHER) == [["TestsFailed"], ["-TestsFailed"], ["TestsFailed"]]


async def test_a_pause_that_an_address_asks_for_is_kept(start, sent, autojump_clock):
    sent.failures[HOOK] = [AlertUnsent("busy", 120), AlertRefused("no")]
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        await batch(world, BAD)
        await trio.sleep(300)
    first, second, third = (time for time, _ in sent.tries)
    assert second - first == pytest.approx(120)
    assert third - second == pytest.approx(REFUSED_INTERVAL)


async def test_a_message_that_is_never_taken_holds_no_other_for_ever(start, sent, autojump_clock):
    sent.failures[HOOK] = [AlertRejected("no such field")] * MAX_REJECTIONS
    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        await batch(world, BAD)
        await batch(world, GOOD)
        await trio.sleep(600)
        counts = world.supervisor.counts.alerts[shown_address(HOOK)]
    assert (sent.told(), counts.dropped, counts.failed) == ([["-TestsFailed"]], 1, MAX_REJECTIONS)


# What lasts


async def test_a_workspace_that_is_away_is_told(start, sent, autojump_clock):
    async with start(autojump_clock, rule("undelivered", HOOK, for_="5m")) as world:
        world.workspace.failures = [DeliveryError("the workspace is away") for _ in range(15)]
        await batch(world, GOOD)
        await trio.sleep(290)
        assert sent.told() == []
        await trio.sleep(1500)
        await settled()
    assert sent.told() == [["NotDelivering"], ["-NotDelivering"]]
    assert "a snapshot waits for the workspace since" in sent.summaries()[0]


async def test_events_that_do_not_come_are_told_also_after_restarts(start, sent, autojump_clock):
    for _ in range(3):
        async with start(autojump_clock, rule("no_events", HOOK, for_="15m")):
            await trio.sleep(280)
    assert sent.told() == []
    async with start(autojump_clock, rule("no_events", HOOK, for_="15m")) as world:
        await trio.sleep(300)  # of what came before, up to a minute of each life isn't known
        await settled()
        assert sent.told() == [["NoEvents"]]
        await batch(world, GOOD)
        await trio.sleep(2 * INTERVAL)
        await settled()
    assert sent.told() == [["NoEvents"], ["-NoEvents"]]


async def test_a_report_that_cannot_be_used_is_told(start, sent, autojump_clock):
    async with start(autojump_clock, rule("misconfigured", HOOK)) as world:
        world.workers.problems = [Problem(("report_config",), "no metric 'X'")]
        await world.supervisor.put(collector("main", rows_trigger(2)))
        await trio.sleep(2 * INTERVAL)
        world.workers.problems = []
        await trio.sleep(10 * INTERVAL)
        await settled()
    assert sent.told() == [["Stuck"], ["-Stuck"]]


async def test_a_disk_that_refuses_everything_is_told_nevertheless(start, sent, autojump_clock, monkeypatch):
    async with start(autojump_clock, rule("disk", HOOK)) as world:
        write = world.journal.alerts.write

        async def refuse(_):
            await trio.lowlevel.checkpoint()
            raise StorageError("the disk is full")

        monkeypatch.setattr(world.journal.alerts, "write", refuse)
        monkeypatch.setattr(Journal, "trouble", "the disk is full")
        await trio.sleep(2 * INTERVAL)
        assert sent.summaries() == ["the disk refuses writes, and events are answered 507: the disk is full"]
        monkeypatch.setattr(world.journal.alerts, "write", write)
        monkeypatch.setattr(Journal, "trouble", "")
        await trio.sleep(5 * INTERVAL)
        await settled()
    assert sent.told() == [["DiskRefuses"], ["-DiskRefuses"]]


async def test_a_disk_that_refuses_is_told_also_after_an_edit(start, sent, autojump_clock, monkeypatch):
    async with start(autojump_clock, rule("disk", HOOK)) as world:

        async def refuse(*_):
            await trio.lowlevel.checkpoint()
            raise StorageError("the disk is full")

        monkeypatch.setattr(world.journal.alerts, "write", refuse)
        monkeypatch.setattr(world.journal.alerts, "keep_only", refuse)
        monkeypatch.setattr(Journal, "trouble", "the disk is full")
        await edit(world, alerts=[{"when": "disk", "to": [OTHER]}])
        await trio.sleep(2 * INTERVAL)
        assert sent.told(OTHER) == [["DiskRefuses"]]


# What alerts must not do


async def test_a_mistake_of_ours_holds_no_batch(start, sent, autojump_clock, monkeypatch):
    def mistake(*_):
        raise KeyError("a mistake")

    async with start(autojump_clock, rule("tests_failed", HOOK)) as world:
        monkeypatch.setattr(hearing, "post_changes", mistake)
        await batch(world, BAD)
        await delivered(world, 1)
        assert await states(world) == ["delivered"]
        assert await world.journal.alerts.read() == [], "nothing is half-done"
        monkeypatch.undo()


async def test_without_rules_nobody_hears(start, autojump_clock, monkeypatch):
    heard = []
    monkeypatch.setattr(hearing.Hearing, "hear", lambda *arguments: heard.append(arguments))
    async with start(autojump_clock) as world:
        await batch(world, BAD)
        await delivered(world, 1)
    assert heard == []
