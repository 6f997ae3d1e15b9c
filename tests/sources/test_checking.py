import pytest

from collector.config import CollectorServiceConfig
from collector.config.kafka import Kafka
from collector.errors import CommandError
from collector.sources import checking, clients
from collector.sources.checking import find_problems, make_topics

COLLECTOR = {
    "trigger": {"type": "IntervalTrigger", "interval": 60},
    "report_config": {"metrics": ["RowCount"]},
    "project_name": "p",
    "kafka": {"topics": ["checked"]},
}

FORGETFUL = {"offsets.retention.minutes": "60"}


def config(kafka):
    return CollectorServiceConfig.parse({"kafka": kafka, "collectors": {"main": COLLECTOR}})


def test_sound_brokers_and_topics_have_no_problems(brokers):
    kafka = brokers.config("checked")
    brokers.make("checked", kafka["ownership_topic"])
    assert find_problems(config(kafka)) == []


def test_brokers_that_are_away_are_named(brokers, monkeypatch):
    for module in (checking, clients):
        monkeypatch.setattr(module, "ASKING_SECONDS", 0.5)  # for which it waits
    kafka = brokers.config("away") | {"bootstrap_servers": "127.0.0.1:9"}
    [problem] = find_problems(config(kafka))
    assert str(problem).startswith("kafka.bootstrap_servers: the brokers at 127.0.0.1:9 don't answer: ")
    with pytest.raises(CommandError, match=r"the brokers at 127\.0\.0\.1:9"):
        make_topics(Kafka.parse(kafka))


def test_options_that_librdkafka_does_not_know_are_named(brokers):
    kafka = brokers.config("options") | {"librdkafka_options": {"no.such.option": "1"}}
    [problem] = find_problems(config(kafka))
    assert str(problem).startswith("kafka.librdkafka_options: librdkafka refuses it: ")
    assert "no.such.option" in str(problem)


@pytest.mark.parametrize(
    ("of_topic", "said"),
    [
        ({"cleanup.policy": "compact,delete"}, "topic 'settled' is compacted"),
        ({"retention.ms": "119000"}, "and a batch may take 1m: set its retention.ms to 120000 or more"),
        ({"retention.ms": "120000", "cleanup.policy": "delete"}, None),
        ({"retention.ms": "-1"}, None),
        ({}, None),  # this user may not know
    ],
    ids=["compacted", "short", "sound", "for ever", "untold"],
)
def test_a_topic_that_would_lose_events_before_their_batch_is_delivered_is_named(brokers, monkeypatch, of_topic, said):
    """The mock cluster tells no settings."""
    monkeypatch.setattr(checking, "_settings", lambda _, kind, __: of_topic if kind == "topic" else {})
    kafka = brokers.config("settled")
    brokers.make("settled", kafka["ownership_topic"])
    wanted = CollectorServiceConfig.parse({"kafka": kafka, "collectors": {"main": settled()}})
    problems = [str(problem) for problem in find_problems(wanted)]
    assert [one for one in problems if one.startswith("collectors.main.kafka.topics: ")] == problems
    assert len(problems) == (said is not None)
    assert said is None or said in problems[0]


def settled():
    return COLLECTOR | {"kafka": {"topics": ["settled"]}}


def test_offsets_that_are_forgotten_within_a_day_are_told(brokers, monkeypatch):
    monkeypatch.setattr(checking, "_settings", lambda _, kind, __: FORGETFUL if kind == "broker" else {})
    kafka = brokers.config("checked")
    brokers.make("checked", kafka["ownership_topic"])
    [problem] = find_problems(config(kafka))
    assert str(problem).startswith("kafka: the brokers forget offsets after 60 minutes")
