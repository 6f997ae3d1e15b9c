import pytest

from collector.config import CollectorServiceConfig
from collector.config.kafka import FromKafka, Kafka
from collector.errors import ConfigError

COLLECTOR = {
    "trigger": {"type": "IntervalTrigger", "interval": 60},
    "report_config": {"metrics": ["RowCount"]},
    "project_name": "p",
}


def problems(kind, **fields):
    with pytest.raises(ConfigError) as raised:
        kind.parse(fields)
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize(
    "name",
    [
        "group.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "partition.assignment.strategy",
        "auto.offset.reset",
    ],
)
def test_options_by_which_events_could_be_lost_are_refused(name):
    [problem] = problems(Kafka, bootstrap_servers="k:1", librdkafka_options={name: "x"})
    assert problem.startswith(f"librdkafka_options: '{name}' can't be set here: ")


def test_options_are_text_as_librdkafka_reads_it():
    options = {"enable.ssl.certificate.verification": True, "socket.timeout.ms": 5000}
    kafka = Kafka.parse({"bootstrap_servers": "k:1", "librdkafka_options": options})
    assert kafka.filled_options() == {"enable.ssl.certificate.verification": "true", "socket.timeout.ms": "5000"}


def test_options_are_filled_in_from_the_environment_and_never_shown(monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    kafka = Kafka.parse({"bootstrap_servers": "k:1", "librdkafka_options": {"sasl.password": "${KAFKA_PASSWORD}"}})
    assert kafka.filled_options() == {"sasl.password": "secret"}
    assert "sasl.password" not in repr(kafka)
    monkeypatch.delenv("KAFKA_PASSWORD")
    config = CollectorServiceConfig(kafka=kafka)
    [problem] = config.problems()
    assert str(problem).startswith(
        "kafka.librdkafka_options.sasl.password: the environment of the service has no variable"
    )


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".", "..", "x" * 250])
def test_a_topic_has_a_name_that_brokers_take(name):
    [problem] = problems(FromKafka, topics=[name])
    assert "can't be the name of a topic" in problem


def test_a_topic_has_one_reader():
    collectors = {key: COLLECTOR | {"kafka": {"topics": ["t"]}} for key in ("a", "b")}
    [problem] = problems(CollectorServiceConfig, kafka={"bootstrap_servers": "k:1"}, collectors=collectors)
    assert problem == "collectors.b.kafka.topics: 't' is read by collector 'a'; a topic has one reader in a group"


def test_a_collector_reads_none_of_the_services_own_topics():
    kafka = {"bootstrap_servers": "k:1", "ownership_topic": "mine"}
    collectors = {"a": COLLECTOR | {"kafka": {"topics": ["mine"]}}}
    [problem] = problems(CollectorServiceConfig, kafka=kafka, collectors=collectors)
    assert "'mine' is the service's own topic" in problem


def test_a_collector_that_reads_needs_brokers():
    [problem] = problems(CollectorServiceConfig, collectors={"a": COLLECTOR | {"kafka": {"topics": ["t"]}}})
    assert 'the file has no "kafka" with "bootstrap_servers"' in problem


def test_what_a_client_posted_reads_from_nowhere():
    collectors = {"a": COLLECTOR | {"kafka": {"topics": ["t"]}, "is_posted": True}}
    [problem] = problems(CollectorServiceConfig, kafka={"bootstrap_servers": "k:1"}, collectors=collectors)
    assert problem == "collectors.a.kafka: can be set in the config file only; write this collector there"


def test_without_the_extra_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("collector.config.kafka.find_spec", lambda _: None)
    [problem] = CollectorServiceConfig(kafka=Kafka(bootstrap_servers="k:1")).problems()
    assert str(problem) == "kafka: needs an extra: pip install 'evidently-collector[kafka]'"


def test_a_collector_that_reads_gets_no_events_from_another_and_none_gets_its(monkeypatch):
    monkeypatch.setattr("collector.config.kafka.find_spec", lambda _: True)
    own = COLLECTOR | {"kafka": {"topics": ["t"]}}
    kafka = {"bootstrap_servers": "k:1"}
    [problem] = problems(CollectorServiceConfig, kafka=kafka, collectors={"a": own | {"events_from": "b"}})
    assert problem.startswith(
        "collectors.a.events_from: a collector with 'events_from' can't take its events from Kafka"
    )
    following = CollectorServiceConfig.parse(
        {"kafka": kafka, "collectors": {"a": own, "b": COLLECTOR | {"events_from": "a"}}}
    )
    [problem] = following.problems()
    assert str(problem).startswith("collectors.b.events_from: 'a' takes its events from Kafka, which can't be followed")


def in_tasks(**others):
    collectors = {"a": COLLECTOR | {"kafka": {"topics": ["t"], "tasks_max": 3}}} | others
    return {"kafka": {"bootstrap_servers": "k:1"}, "collectors": collectors}


def test_a_collector_in_tasks_is_at_work_as_several_with_one_config():
    config = CollectorServiceConfig.parse(in_tasks(b=COLLECTOR))
    assert list(config.at_work()) == ["a", "a~task1", "a~task2", "b"]
    assert [one.id for one in config.at_work().values()] == list(config.at_work())
    assert config.find("a~task2") == config.at_work()["a~task2"]
    assert [config.find(id_) for id_ in ("a~task3", "b~task1", "c")] == [None] * 3


def test_a_task_has_the_id_of_no_collector():
    [problem] = problems(CollectorServiceConfig, **in_tasks(**{"a~task1": COLLECTOR}))
    assert problem.startswith("collectors.a.kafka: a task of this collector has the name 'a~task1'")
