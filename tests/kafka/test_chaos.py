"""Three services without Evidently under faults: what was produced is in the snapshots, each event once.

What keeps them from coming twice is taken away by turns, and each time some must: else the test could not fail.
"""

import pytest

from .chaos import FREEZES, run

pytestmark = pytest.mark.slow  # each takes a minute or more: nox -s kafka

CLASSIC = {"session.timeout.ms": "3500", "heartbeat.interval.ms": "300"}
CONSUMER = {"group.protocol": "consumer"}
SEEDS = (1, 2, 3)


@pytest.fixture(scope="session")
def mock():
    pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")
    from brokers import mock_brokers

    with mock_brokers() as brokers:
        yield brokers


def none_missing_none_double(found):
    return (found["missing"], found["double"]) == (0, 0) and sum(found["acts"].values()) > 0


@pytest.mark.parametrize("moment", FREEZES)
def test_no_event_is_missing_or_double_whatever_happens_to_services(mock, tmp_path, moment):
    """At these moments of a delivery services stop themselves, and go on after others took over."""
    faults = ["kill", "wipe", "stop", moment]
    assert none_missing_none_double(run(mock, tmp_path, faults, 120, name=moment, rate=500, options=CLASSIC))


@pytest.mark.parametrize("options", [CLASSIC, CONSUMER], ids=["classic", "consumer"])
def test_no_event_is_missing_or_double_whatever_happens_to_services_and_brokers(apache, tmp_path, options):
    faults = ["kill", "wipe", "stop", "broker", "leader", "freeze"]
    name = options.get("group.protocol", "classic")
    assert none_missing_none_double(run(apache, tmp_path, faults, 120, name=name, options=options))


def test_no_event_is_missing_or_double_when_brokers_lose_their_disks(apache, tmp_path):
    plan = [(5, "disk"), (30, "kill"), (45, "disk"), (60, "wipe")]
    found = run(apache, tmp_path, [], 70, plan, name="disk", options=CONSUMER)
    assert none_missing_none_double(found)
    assert found["acts"]["disk"] == 2


@pytest.mark.timeout(1800)
def test_no_event_is_missing_or_double_in_ten_minutes_of_faults(apache, tmp_path):
    faults = ["kill", "wipe", "stop", "broker", "leader", "freeze", "before"]
    assert none_missing_none_double(run(apache, tmp_path, faults, 600, name="long", options=CONSUMER))


@pytest.mark.parametrize(
    ("without", "faults"),
    [
        (["intents"], ["kill", "wipe"]),
        (["look", "sweep"], ["kill", "wipe"]),
        (["guard", "sweep"], ["kill", "stop", "before"]),
        (["request", "sweep"], ["kill", "stop", "fence"]),
    ],
    ids=[
        "published batches",
        "the look before a delivery",
        "the guard of a delivery",
        "its second from the request",
    ],
)
def test_events_come_twice_without(mock, tmp_path, without, faults):
    """Faults come by chance, so one of three runs has to show it."""
    name = without[0]
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        options = {"seed": seed, "rate": 500, "without": without, "options": CLASSIC}
        found = run(mock, folder, faults, 40, name=f"{name}{seed}", **options)
        assert found["missing"] == 0
        if found["double"]:
            return
    pytest.fail("nothing came twice")
