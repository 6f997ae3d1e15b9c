import pytest

from collector.config.kafka import Kafka
from collector.errors import ConfigError
from collector.sources.clients import GIVING_BACK_MS, open_consumer, ownership_options


def options_of(**given):
    kafka = {"bootstrap_servers": "127.0.0.1:9", "group_id": "g", "ownership_topic": "tasks"}
    return ownership_options(Kafka.parse(kafka | {"librdkafka_options": given}))


@pytest.mark.parametrize(
    ("given", "milliseconds"),
    [
        ({}, GIVING_BACK_MS),
        ({"session.timeout.ms": "10000"}, GIVING_BACK_MS),
        ({"session.timeout.ms": "120000"}, 120_000),
        ({"max.poll.interval.ms": "90000"}, "90000"),
    ],
)
def test_who_does_not_give_collectors_back_is_put_out_of_the_group_after_a_minute(given, milliseconds):
    """In five minutes otherwise: librdkafka was seen to miss that it is asked to, while a broker was restarted."""
    options = options_of(**given)
    assert options["max.poll.interval.ms"] == milliseconds
    open_consumer(options).close()


def test_a_session_that_is_no_number_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"session\.timeout\.ms"):
        open_consumer(options_of(**{"session.timeout.ms": "long"}))
