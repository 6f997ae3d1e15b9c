import pytest

from collector.waiting import backoff
from collector.waiting.backoff import FIRST, LONGEST, Backoff


@pytest.fixture
def uniform(monkeypatch):
    """Let a test choose where between its arguments the draw falls: 0 is the lower, 1 the upper."""
    chosen = {"at": 1.0}
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: low + (high - low) * chosen["at"])
    return chosen


def test_pauses_double_from_half_a_second_to_a_minute(uniform):
    pauses = Backoff()
    # 0.5 * 2**7 = 64 is the first above the minute.
    assert [pauses.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_pause_is_shortened_by_at_most_a_half(uniform):
    uniform["at"] = 0.0
    pauses = Backoff()
    assert [pauses.next() for _ in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_two_who_began_together_do_not_meet():
    assert Backoff().next() != Backoff().next()


def test_after_a_success_it_begins_again(uniform):
    pauses = Backoff()
    for _ in range(10):
        pauses.next()
    assert pauses.next() == LONGEST
    pauses.reset()
    assert pauses.next() == FIRST
