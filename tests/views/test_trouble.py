import pytest

from collector.views.trouble import is_well, trouble_of, urgency

from .statuses import MINUTE, NOON, collector, service

CRASHED = collector(state="crashed", last_error="ValueError: bad")
MISCONFIGURED = collector(state="misconfigured", problems=("reference_path: no file", "metrics: unknown"))
UNDELIVERED = collector(state="undelivered", outbox=2, outbox_since=NOON - 3 * MINUTE, last_error="http://ui: refused")
FAILED = collector(failed=1)
SKIPPING = collector(skipping_since=NOON - 2 * MINUTE, skipping_why="9 bytes are not delivered yet")
APART = collector(
    state="standby", kafka={"lag": None, "owner": "", "mismatch": "its config differs from the config here"}
)
STUMBLED = collector(state="evaluating", last_error="took longer than 600 s")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (collector(), ""),
        (collector(outbox=3), ""),
        (collector(state="retired"), ""),
        (CRASHED, "stopped by an error, and will be restarted soon: ValueError: bad"),
        (MISCONFIGURED, "misconfigured, events are kept: reference_path: no file; metrics: unknown"),
        (UNDELIVERED, "2 snapshots undelivered for 3m: http://ui: refused"),
        (FAILED, "1 batch failed; fix the cause, then: evidently-collector retry main"),
        (SKIPPING, "skips its events for 2m: 9 bytes are not delivered yet"),
        (APART, "the services' configs differ: its config differs from the config here"),
        (STUMBLED, "took longer than 600 s"),
    ],
)
def test_trouble_in_words(status, words):
    assert trouble_of(status, NOON) == words


def test_the_worst_comes_first():
    mixed = [collector(), FAILED, UNDELIVERED, MISCONFIGURED, CRASHED]
    assert sorted(mixed, key=urgency) == mixed[::-1]


@pytest.mark.parametrize(
    ("status", "well"),
    [
        (service(), True),
        (service(collector(), needs_restart=("port",)), True),
        (service(trouble="no space left"), False),
        (service(error="line 3: not JSON"), False),
        (service(collector("a"), FAILED), False),
    ],
)
def test_a_service_is_well_if_all_of_it_is(status, well):
    assert is_well(status) == well
