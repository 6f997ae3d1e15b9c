"""How a batch of events is sent, without anything that sends."""

import pytest

from collector.client.buffering import delivery, next_step
from collector.client.requests import Pause
from collector.errors import RequestRefused, ServiceUnavailable

AWAY = ServiceUnavailable("can't be reached")


def test_that_events_wait_is_told_once_however_often_it_is_tried(caplog):
    steps = delivery("main", [b"body"])
    sending = next_step(steps, None)
    for _ in range(3):
        assert isinstance(next_step(steps, AWAY), Pause)
        assert next_step(steps, None) is sending  # the same body, under the same key
    assert next_step(steps, None) is None
    assert caplog.messages == ["can't be reached; events of main wait"]


@pytest.mark.parametrize("outcomes", [[AWAY, AWAY], [RequestRefused(400, "")]])
def test_what_is_given_up_or_refused_is_raised(outcomes):
    steps = delivery("main", [b"body"])
    next_step(steps, None)
    *passing, last = outcomes
    for outcome in passing:
        next_step(steps, outcome)
    with pytest.raises(type(last)):
        next_step(steps, last)
