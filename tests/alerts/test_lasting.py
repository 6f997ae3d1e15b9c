"""What lasts is told once it has lasted long enough, and its end; what can't be told leaves all as it is."""

from dataclasses import replace

import pytest
from worlds import EPOCH

from collector.alerts.lasting import Lasting, Moment
from collector.status.status import ConfigState, ServiceStatus, Status

from .receivers import HOOK, rule

CALM = Status("main", "waiting")
AWAY = Status("main", "undelivered", outbox=2, outbox_since=EPOCH, last_error="the workspace can't be reached")
STARTING = Status("main", "starting")


def at(seconds):
    return Moment(EPOCH + seconds, 1000.0 + seconds)


def service(*statuses, trouble=""):
    return ServiceStatus("1", EPOCH, EPOCH, trouble, ConfigState("c.json", EPOCH), statuses)


def told(lasting, *looks):
    """Look at statuses, each at its second; return at which of them what was told, and all states to be written."""
    news, written = [], []
    for seconds, status in looks:
        seen = status if isinstance(status, ServiceStatus) else service(status)
        states, changes = lasting.look(seen, at(seconds))
        written += states
        news += [(seconds, "over" if change.is_over else "firing") for change in changes]
    return news, written


def watch(when, states=(), seconds=0, *, accepted=None, **fields):
    return Lasting([rule(when, HOOK, **fields)], states, at(seconds), {} if accepted is None else accepted)


def test_snapshots_that_wait_for_long_are_told_and_that_they_wait_no_more():
    looks = [(0, CALM), (10, AWAY), (59, AWAY), (60, AWAY), (100, AWAY), (101, CALM), (102, CALM)]
    assert told(watch("undelivered", for_="1m"), *looks)[0] == [(60, "firing"), (101, "over")]


def test_a_snapshot_on_its_way_is_neither_late_nor_delivered():
    on_its_way = replace(CALM, outbox=1, outbox_since=EPOCH)
    assert told(watch("undelivered"), (1, on_its_way), (500, on_its_way))[0] == []
    assert told(watch("undelivered"), (1, AWAY), (2, replace(on_its_way, state="evaluating")))[0] == [(1, "firing")]


def test_a_start_ends_nothing_before_it_is_known_how_all_stands():
    _, states = told(watch("undelivered"), (1, AWAY))
    again = watch("undelivered", states, 100)
    assert told(again, (101, STARTING), (102, AWAY), (103, CALM))[0] == [(103, "over")]
    broken = replace(CALM, state="misconfigured", problems=("no reference",))
    _, states = told(watch("misconfigured"), (1, broken))
    assert told(watch("misconfigured", states, 100), (101, STARTING), (102, broken), (103, CALM))[0] == [(103, "over")]


def test_a_collector_that_is_misconfigured_is_told_with_its_problem():
    broken = replace(CALM, state="undelivered", problems=("report_config: no column 'age'", "reference_path: no file"))
    lasting = watch("misconfigured", for_=5)
    assert told(lasting, (0, broken), (4, broken))[0] == []
    [state], _ = lasting.look(service(broken), at(5))
    said = "main: events are kept and not evaluated: report_config: no column 'age' (and 1 more)"
    assert (state.said, state.since, state.is_firing) == ({"summary": said}, EPOCH, True)


def test_events_that_pass_a_collector_by_are_told_with_the_reason():
    skipping = replace(CALM, skipping_since=EPOCH - 5, skipping_why="9 bytes wait")
    lasting = watch("skipped")
    [state], _ = lasting.look(service(skipping), at(1))
    said = "main: it has skipped its events since 2023-11-14T22:13:15.000+00:00: 9 bytes wait"
    assert (state.said, state.is_firing) == ({"summary": said}, True)
    [state], _ = lasting.look(service(CALM), at(2))
    assert (state.said, state.is_firing) == ({"summary": "main: it takes its events again"}, False)


def accepted(rows):
    return replace(CALM, rows_accepted=rows)


def test_no_events_are_told_once_none_has_come_for_long():
    looks = [(0, accepted(0)), (50, accepted(3)), (51, accepted(3)), (110, accepted(3)), (111, accepted(3))]
    assert told(watch("no_events", for_=60), *looks, (200, accepted(3)), (201, accepted(4)))[0] == [
        (111, "firing"),
        (201, "over"),
    ]


def test_time_without_events_goes_on_after_a_restart_and_the_downtime_does_not_count():
    _, states = told(watch("no_events", for_=100), *((second, accepted(5)) for second in range(61)))
    assert states[-1].lasted == pytest.approx(50, abs=25)
    again = watch("no_events", states[-1:], 10_000, for_=100)
    news, _ = told(again, *((10_000 + second, accepted(0)) for second in range(101)))
    assert news == [(10_000 + 100 - states[-1].lasted, "firing")]


def test_events_that_came_before_an_edit_of_the_rules_end_nothing():
    """They were taken for new ones, so that an edit told that events come again, and began anew."""
    seen = {}
    _, states = told(watch("no_events", for_=60, accepted=seen), (1, accepted(3)), (2, accepted(3)), (90, accepted(3)))
    assert states[-1].is_firing
    edited = watch("no_events", states[-1:], 100, for_=60, accepted=seen)
    assert told(edited, (100, accepted(3)), (105, accepted(3)), (110, accepted(4)))[0] == [(110, "over")]


def test_how_long_it_has_lasted_is_written_down_now_and_then():
    """Each is a transaction; a stream with an event each few seconds costs none."""
    busy = [(second, accepted(second // 5)) for second in range(1000)]
    assert told(watch("no_events", for_=3600), *busy) == ([], [])
    quiet = [(second, accepted(0)) for second in range(1000)]
    assert len(told(watch("no_events", for_=3600), *quiet)[1]) == 16


def test_the_disk_is_the_services_own_matter():
    trouble = service(CALM, trouble="no space left on device")
    looks = [(0, service(CALM)), (1, trouble), (2, trouble), (3, service(CALM))]
    news, states = told(watch("disk"), *looks)
    assert news == [(1, "firing"), (3, "over")]
    assert [(state.collector, "no space left" in state.said["summary"]) for state in states] == [
        ("", True),
        ("", False),
    ]


def test_a_clock_that_is_set_makes_nothing_last_longer():
    lasting = watch("no_events", for_=60)
    lasting.look(service(accepted(0)), Moment(EPOCH, 0.0))
    assert lasting.look(service(accepted(0)), Moment(EPOCH + 86_400, 1.0)) == ([], [])


def test_a_collector_that_is_gone_or_retired_is_left_alone():
    lasting = watch("undelivered")
    assert told(lasting, (1, AWAY), (2, service()), (3, replace(AWAY, state="retired")))[0] == [(1, "firing")]


def test_each_rule_looks_at_its_own_collectors():
    lasting = Lasting([rule("undelivered", HOOK, collectors=["a*"]), rule("undelivered", HOOK)], (), at(0), {})
    _, changes = lasting.look(service(replace(AWAY, id="abc"), replace(AWAY, id="b")), at(1))
    assert sorted(change.state.collector for change in changes) == ["abc", "abc", "b"]
