"""Three services without Evidently on a mock cluster: what was produced is in the snapshots, each event once.

What keeps them from coming twice is taken away by turns, and each time some must: else the test could not fail.
"""

from importlib.util import find_spec

import pytest

from .chaos import Chaos

pytestmark = [
    pytest.mark.slow,  # each takes a minute or more: nox -s kafka
    pytest.mark.skipif(find_spec("confluent_kafka") is None, reason="pip install 'evidently-collector[kafka]'"),
]

CLASSIC = {"session.timeout.ms": "3500", "heartbeat.interval.ms": "300"}
SEEDS = (1, 2, 3)


def run(folder, faults, seconds, seed=1, without=()):
    """Return how many events are missing, and how many are there twice, after faults for so long."""
    from brokers import mock_brokers

    folder.mkdir()
    with mock_brokers() as brokers:
        chaos = Chaos(brokers, folder, faults=faults, seed=seed, rate=500, without=without, options=CLASSIC)
        with chaos.running():
            sent = chaos.produce_under_faults(seconds)
            chaos.settle(sent)
            return chaos.verdict(sent)


@pytest.mark.parametrize("moment", ["fence", "before"])
def test_no_event_is_missing_or_double_whatever_happens_to_services(tmp_path, moment):
    """For minutes; at these moments of a delivery services stop themselves, and go on after others took over."""
    assert run(tmp_path / "run", ["kill", "wipe", "stop", moment], 120) == (0, 0)


@pytest.mark.parametrize(
    ("without", "faults"),
    [
        (["intents"], ["kill", "wipe"]),
        (["look", "sweep"], ["kill", "wipe"]),
        (["guard", "sweep"], ["kill", "stop", "before"]),
    ],
    ids=["published batches", "the look before a delivery", "the guard of a delivery"],
)
def test_events_come_twice_without(tmp_path, without, faults):
    """Faults come by chance, so one of three runs has to show it."""
    for seed in SEEDS:
        missing, double = run(tmp_path / str(seed), faults, 40, seed, without)
        assert missing == 0
        if double:
            return
    pytest.fail("nothing came twice")
