from collector.config.kafka import Kafka
from collector.sources.messages import Rejected
from collector.sources.rejecting import Rejecting

from .fakes import FakeError
from .test_messages import FakeMessage


class Letter(FakeMessage):
    def key(self):
        return None

    def headers(self):
        return [("theirs", b"1")]


class FakeProducer:
    """Answers what it is told to for each message, or nothing."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.values = []
        self.is_purged = False

    def produce(self, topic, value, key, *, headers, on_delivery):  # noqa: ARG002  (as in confluent_kafka)
        self.values.append(value)
        if self.answers:
            on_delivery(self.answers.pop(0), None)

    def flush(self, seconds):  # noqa: ARG002
        return 0

    def purge(self):
        self.is_purged = True


async def test_what_has_no_answer_is_tried_again_by_another_producer_and_no_longer_by_the_first(monkeypatch):
    """While brokers were away, each try left its messages behind, and all of them came in the end."""
    monkeypatch.setattr("collector.sources.rejecting.PAUSE", 0)
    producers = [FakeProducer(None, FakeError("_MSG_TIMED_OUT")), FakeProducer(None, None)]
    opened = iter(producers)
    monkeypatch.setattr("collector.sources.rejecting.open_producer", lambda _: next(opened))
    rejecting = Rejecting(Kafka(bootstrap_servers="any:1", dead_letter_topic="dead"))
    letters = [Rejected(Letter(value), "not_a_table", "why") for value in (b"a", b"b", b"c")]
    assert await rejecting.reject("main", letters) == 3
    assert [one.values for one in producers] == [[b"a", b"b", b"c"], [b"b", b"c"]]
    assert [one.is_purged for one in producers] == [True, False]
