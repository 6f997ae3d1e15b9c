"""What waits for an address is sent in its order, once unless that is in doubt, whatever the disk does meanwhile."""

import pytest
import trio
from structlog.testing import capture_logs

from collector.alerts.sending import MAX_UNKEPT, Sending, send
from collector.errors import AlertRefused, AlertUnsent, StorageError
from collector.status.counts import AlertCounts
from collector.store.records import Message
from collector.web.clients import Clients

from .receivers import HOOK, FakeSend, message, receiving


class FakeBook:
    """Keeps messages in memory; the disk refuses what a test says."""

    def __init__(self, *bodies):
        self.messages = dict(enumerate(bodies, start=1))
        self.refused = set()

    async def oldest(self, _, after):
        self._look("oldest")
        await trio.lowlevel.checkpoint()
        left = [number for number in self.messages if number > after]
        return Message(left[0], self.messages[left[0]], len(left)) if left else None

    async def drop(self, _, upto):
        self._look("drop")
        await trio.lowlevel.checkpoint()
        self.messages = {number: body for number, body in self.messages.items() if number > upto}

    def _look(self, what):
        if what in self.refused:
            raise StorageError("the disk is full")


@pytest.fixture
def sent(monkeypatch):
    fake = FakeSend()
    monkeypatch.setattr("collector.alerts.sending.send", fake)
    return fake


@pytest.fixture
async def start(nursery, autojump_clock):
    def run(book):
        sending = Sending(HOOK, book, None, AlertCounts())
        nursery.start_soon(sending.run)
        return sending

    return run


def texts(sent):
    return [body["alerts"][0]["annotations"]["summary"] for _, body in sent.taken]


async def test_what_the_disk_will_not_let_go_of_is_not_sent_again(start, sent, autojump_clock):
    book = FakeBook(message("1"), message("2"))
    book.refused = {"drop"}
    sending = start(book)
    await trio.sleep(600)
    assert texts(sent) == ["1", "2"]
    book.refused.clear()
    book.messages[3] = message("3")
    sending.note_posted(0)
    await trio.sleep(1)
    assert (texts(sent), book.messages, sending.counts.waiting) == (["1", "2", "3"], {}, 0)


async def test_what_the_disk_will_not_keep_is_sent_from_memory_the_newest(start, sent, autojump_clock):
    book = FakeBook()
    sending = start(book)
    sent.failures[HOOK] = [AlertUnsent("away")]
    for number in range(MAX_UNKEPT + 2):
        sending.send_unkept(message(f"{number}"))
    book.refused = {"oldest"}
    await trio.sleep(600)
    assert texts(sent) == [f"{number}" for number in range(2, MAX_UNKEPT + 2)]


async def test_trouble_is_logged_once_and_so_is_its_end(start, sent, autojump_clock):
    sent.failures[HOOK] = [AlertUnsent("away"), AlertUnsent("away"), AlertUnsent("busy")]
    with capture_logs() as lines:
        start(FakeBook(message()))
        await trio.sleep(600)
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("an alert message waits for its address", "away"),
        ("an alert message waits for its address", "busy"),
        ("alert messages are sent again", None),
    ]
    assert {line["address"] for line in lines} == {"https://hook.example/********"}


async def test_variables_are_filled_in_at_each_use(monkeypatch):
    clients = Clients()
    with receiving() as receiver:
        monkeypatch.setenv("HOOK", receiver.hook)
        assert await send(clients, "${HOOK}", message()) == "answered 200"
        monkeypatch.delenv("HOOK")
        with pytest.raises(AlertRefused, match="no variable HOOK"):
            await send(clients, "${HOOK}", message())
    await clients.aclose()
