import json

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from collector.errors import NotReady
from collector.ingest.http.draining import Draining
from collector.ingest.http.page.streams import MAX_STREAMS, Streams
from collector.views.page.view import View


class Seen:
    """What is seen: a piece that a test changes."""

    def __init__(self):
        self.text = "<p>1</p>"
        self.looks = 0

    async def __call__(self):
        self.looks += 1
        await trio.lowlevel.checkpoint()
        return View("n", self.looks, "title", "good", {"piece": self.text})


def stays():
    return False


def news_of(sent):
    assert sent.startswith(b"data: ")
    assert sent.endswith(b"\n\n")
    return json.loads(sent.removeprefix(b"data: "))


async def test_what_changes_is_sent_and_nothing_else(autojump_clock):
    see, streams = Seen(), Streams(Draining())
    news = streams.follow(see, None, stays)
    assert news_of(await anext(news))["pieces"] == {"piece": "<p>1</p>"}
    with trio.move_on_after(4.5):
        await anext(news)
    assert see.looks == 5  # at once, and each second
    await news.aclose()


async def test_a_change_is_sent_within_a_second_or_so(autojump_clock):
    see, streams = Seen(), Streams(Draining())
    news = streams.follow(see, None, stays)
    await anext(news)
    see.text = "<p>2</p>"
    with trio.fail_after(1.5):
        assert news_of(await anext(news)) == {"pieces": {"piece": "<p>2</p>"}, "now": 2}
    await news.aclose()


async def test_one_who_hears_nothing_is_told_that_we_are_there(autojump_clock):
    news = Streams(Draining()).follow(Seen(), None, stays)
    await anext(news)
    with trio.fail_after(12):
        assert news_of(await anext(news)).keys() == {"now"}
    await news.aclose()


async def test_it_ends_when_the_service_stops(autojump_clock):
    draining = Draining()
    streams, ended = Streams(draining), trio.Event()

    async def read():
        assert len([one async for one in streams.follow(Seen(), None, stays)]) == 1
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        draining.begin()
        with trio.fail_after(0.5):  # less than a second: it doesn't wait for the next look
            await ended.wait()
    assert streams.number == 0


async def test_who_leaves_is_not_looked_for_any_more(autojump_clock):
    see, streams = Seen(), Streams(Draining())
    news = streams.follow(see, None, stays)
    await anext(news)
    assert streams.number == 1
    await news.aclose()
    looks = see.looks
    await trio.sleep(30)
    assert (streams.number, see.looks) == (0, looks)


async def test_no_more_look_on_than_may():
    streams = Streams(Draining())
    all_of_them = [streams.follow(Seen(), None, stays) for _ in range(MAX_STREAMS)]
    for one in all_of_them:
        await anext(one)
    with pytest.raises(NotReady, match="too many pages"):
        streams.check()
    assert [one async for one in streams.follow(Seen(), None, stays)] == []  # which came between check and start
    for one in all_of_them:
        await one.aclose()
    streams.check()


async def test_it_ends_once_its_reader_has_left(autojump_clock):
    gone = []
    news = Streams(Draining()).follow(Seen(), None, lambda: bool(gone))
    await anext(news)
    gone.append(True)
    with trio.fail_after(1.5):
        assert [one async for one in news] == []
