import pytest

from collector.config import CollectorServiceConfig
from collector.config.kafka import Kafka
from collector.errors import CommandError
from collector.sources.checking import find_problems, make_topics

COLLECTOR = {
    "trigger": {"type": "IntervalTrigger", "interval": 60},
    "report_config": {"metrics": ["RowCount"]},
    "project_name": "p",
    "kafka": {"topics": ["checked"]},
}


def config(kafka):
    return CollectorServiceConfig.parse({"kafka": kafka, "collectors": {"main": COLLECTOR}})


def test_sound_brokers_and_topics_have_no_problems(brokers):
    kafka = brokers.config("checked")
    brokers.make("checked", kafka["ownership_topic"])
    assert find_problems(config(kafka)) == []


def test_brokers_that_are_away_are_named(brokers):
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
