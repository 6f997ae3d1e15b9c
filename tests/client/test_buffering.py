"""How a batch of events is sent, without anything that sends."""

import pytest

from collector.client.buffering import Deliveries, next_step, written
from collector.client.requests import Pause
from collector.errors import RequestRefused, ServiceUnavailable

AWAY = ServiceUnavailable("can't be reached")


@pytest.fixture
def lost():
    return []


@pytest.fixture
def deliver(lost):
    """Begin to deliver events; what becomes lost is kept."""
    deliveries = Deliveries("main", lambda events, problem: lost.append((events, problem)))
    return lambda events: deliveries.deliver(written(events, None)[0])


def sent(steps, problem_with):
    """Do all steps; return the events of each sending that was taken."""
    taken, problem = [], None
    while (step := next_step(steps, problem)) is not None:
        problem = problem_with(step.rows)
        if problem is None:
            taken.append(step.rows.events)
    return taken


def test_that_events_wait_is_told_once_however_often_it_is_tried(deliver, caplog):
    steps = deliver([{"n": 1}])
    sending = next_step(steps, None)
    for _ in range(3):
        assert isinstance(next_step(steps, AWAY), Pause)
        assert next_step(steps, None) is sending  # the same body, under the same key
    assert next_step(steps, None) is None
    assert caplog.messages == ["can't be reached; events of main wait"]


def test_what_is_given_up_is_lost(deliver, lost):
    steps = deliver([{"n": 1}])
    for problem in (None, AWAY):
        next_step(steps, problem)
    assert next_step(steps, AWAY) is None
    assert lost == [([{"n": 1}], AWAY)]


def test_what_is_too_large_is_halved_until_it_passes_or_is_lost_alone(deliver, lost):
    too_large = RequestRefused(413, "too large")
    events = [{"text": "x" * (10_000 if number == 3 else 10)} for number in range(8)]
    taken = sent(deliver(events), lambda rows: too_large if rows.size > 1000 else None)
    assert [event for some in taken for event in some] == events[:3] + events[4:]
    assert lost == [([events[3]], too_large)]


@pytest.mark.parametrize("told", [1, 2, 5])
def test_only_events_with_new_columns_are_lost_when_a_collectors_are_too_many(deliver, lost, told):
    """However many of them the service names at a time."""
    events = [{"n": number, f"column{number}": 1} if number in {2, 5, 7} else {"n": number} for number in range(9)]

    def problem_with(rows):
        new = [name for name in rows.table.column_names if name != "n"]
        return RequestRefused(400, "too many columns", new[:told]) if new else None

    assert sent(deliver(events), problem_with) == [[event for event in events if len(event) == 1]]
    assert sorted(event["n"] for some, _ in lost for event in some) == [2, 5, 7]


def test_a_batch_without_an_event_of_known_columns_is_lost_whole(deliver, lost):
    refusal = RequestRefused(400, "too many columns", ["a"])
    assert sent(deliver([{"a": 1}, {"a": 2}]), lambda _: refusal) == []
    assert lost == [([{"a": 1}, {"a": 2}], refusal)]


def test_an_event_that_cannot_be_written_is_lost_alone(lost):
    class Unspeakable:
        def __str__(self):
            raise OSError("no")

    events = [{"n": number} for number in range(7)]
    events[4] = {"n": Unspeakable()}
    pieces = written(events, lambda some, problem: lost.append((some, str(problem))))
    assert [event for piece in pieces for event in piece.events] == events[:4] + events[5:]
    assert lost == [([events[4]], "the event can't be put into a table: OSError('no')")]


def test_only_events_with_too_many_columns_are_lost_of_a_batch_that_has_too_many(deliver, lost):
    """The service refuses a body of too many columns with 413; a half has only the columns that its events have."""
    too_wide = RequestRefused(413, "the body has 9 columns, the limit is 2")
    events = [{"n": number, "a": 1} for number in range(100)]
    for number in (7, 50, 93):
        events[number][f"new{number}"] = 1
    taken = sent(deliver(events), lambda rows: too_wide if rows.table.num_columns > 2 else None)
    assert [event["n"] for some in taken for event in some] == [n for n in range(100) if n not in {7, 50, 93}]
    assert [event["n"] for some, _ in lost for event in some] == [7, 50, 93]
