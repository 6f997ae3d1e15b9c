"""Three services without Evidently on a mock cluster: what was produced is in the snapshots, each event once.

What keeps them from coming twice is taken away by turns, and each time some must: else the test could not fail.
"""

import pytest

pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")

from brokers import mock_brokers

from .chaos import Chaos

CLASSIC = {"session.timeout.ms": "3500", "heartbeat.interval.ms": "300"}
SEEDS = (1, 2, 3)


def run(folder, faults, seconds, seed=1, without=()):
    """Return how many events are missing, and how many are there twice, after faults for so long."""
    folder.mkdir()
    with mock_brokers() as brokers:
        chaos = Chaos(brokers, folder, faults=faults, seed=seed, rate=500, without=without, options=CLASSIC)
        with chaos.running():
            sent = chaos.produce_under_faults(seconds)
            chaos.settle(sent)
            return chaos.verdict(sent)


def test_no_event_is_missing_or_double_whatever_happens_to_services(tmp_path):
    assert run(tmp_path / "run", ["kill", "wipe", "stop", "before"], 15) == (0, 0)


@pytest.mark.slow
def test_none_is_missing_or_double_after_minutes_of_it(tmp_path):
    assert run(tmp_path / "run", ["kill", "wipe", "stop", "fence"], 180) == (0, 0)


@pytest.mark.slow
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
