"""Three services without Evidently under faults: what was produced is in the snapshots, each event once.

What keeps them from coming twice is taken away by turns, and each time some must: else the test could not fail.
"""

import pytest

from .chaos import FREEZES, Chaos, run

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
    assert found["acts"]["disk"]  # the second may come too soon after the first


def test_no_event_is_missing_or_double_when_all_brokers_die_at_once(apache, tmp_path):
    plan = [(5, "outage"), (25, "kill"), (40, "outage")]
    found = run(apache, tmp_path, [], 50, plan, name="outage", options=CONSUMER)
    assert none_missing_none_double(found)
    assert found["acts"]["outage"]


def test_no_event_is_missing_or_double_while_services_change_to_the_newer_protocol(apache, tmp_path):
    """One after the other, in a group that lives; and one of them back."""
    chaos = Chaos(apache, tmp_path, "upgrade", options=CLASSIC)
    newer = apache.config("upgrade", librdkafka_options={"log_level": "0", **CONSUMER})
    with chaos.running():
        older = chaos.kafka["a"]
        for name, kafka in (("a", newer), ("b", newer), ("c", newer), ("a", older)):
            chaos.produce(8)
            chaos.kafka[name] = kafka
            chaos.restart(name)
        chaos.produce(8)
        found = chaos.found()
    assert (found["missing"], found["double"]) == (0, 0)


def test_no_event_is_missing_or_double_where_a_service_is_frozen_beyond_a_session_of_45_s(jars, tmp_path):
    """By the time-outs that brokers have by themselves, at the worst moment of a delivery."""
    from .apache import apache_brokers

    settings = {
        "group_consumer_min_session_timeout_ms": 45_000,
        "group_consumer_session_timeout_ms": 45_000,
        "group_consumer_min_heartbeat_interval_ms": 5000,
        "group_consumer_heartbeat_interval_ms": 5000,
    }
    with apache_brokers(3, tmp_path / "brokers", jars, **settings) as brokers:
        chaos = Chaos(brokers, tmp_path, "zombies", freeze="before", options=CONSUMER)
        chaos.sleep = 60.0
        with chaos.running():
            chaos.produce(120)
            found = chaos.found()
    assert none_missing_none_double(found)


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
