"""Buffered sending against a small real server that gives the answers it is told to."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import PATIENCE, FakeService, running_service

from collector.client import CollectorClient
from collector.client import requests as module
from collector.errors import BadBody, RequestRefused, ServiceUnavailable

NEVER = 3600.0


@pytest.fixture
def service():
    with running_service() as made:
        yield made


@pytest.fixture
def client(service, monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda _low, _high: 0.0)  # no pauses
    with CollectorClient(service.url) as made:
        yield made


# When events go


def test_events_go_as_soon_as_max_rows_wait(service, client):
    with client.buffered("a/b", max_rows=3, max_delay=NEVER) as events:
        for number in range(3):
            events.send({"n": number})
        service.wait_for_requests(1)
        assert service.batches() == [[0, 1, 2]]
    assert service.requests[0][0] == "/a%2Fb/data"


def test_an_event_goes_alone_once_it_has_waited_for_max_delay(service, client):
    with client.buffered("main", max_delay=0.001) as events:
        for number in range(3):
            events.send({"n": number})
            service.wait_for_requests(number + 1)
    assert service.batches() == [[0], [1], [2]]


def test_flush_returns_once_the_service_has_what_was_taken(service, client):
    with client.buffered("main", max_delay=NEVER) as events:
        events.flush()
        events.send({"n": 1})
        assert (events.waiting, events.sent) == (1, 0)
        events.flush()
        assert (events.waiting, events.sent) == (0, 1)
        assert service.batches() == [[1]]
        events.send({"n": 2})
        events.flush()
    assert service.batches() == [[1], [2]]


def test_the_end_of_the_block_sends_what_waits(service, client):
    with client.buffered("main", max_delay=NEVER) as events:
        events.send({"n": 1})
    assert service.batches() == [[1]]


def test_the_end_of_the_block_sends_what_waits_though_it_failed(service, client):
    with pytest.raises(ZeroDivisionError), client.buffered("main", max_delay=NEVER) as events:
        fail_after_sending(events)
    assert service.batches() == [[1]]


def fail_after_sending(events):
    events.send({"n": 1})
    raise ZeroDivisionError


def test_a_buffer_outlives_its_clients_connections(service, client):
    with client.buffered("main", max_delay=NEVER) as events:
        client.close()
        events.send({"n": 1})
    assert service.batches() == [[1]]


def test_no_request_has_more_than_max_rows(service, client):
    service.gate.clear()
    with client.buffered("main", max_rows=2, max_delay=NEVER) as events:
        for number in range(7):
            events.send({"n": number})
        service.gate.set()
    assert max(map(len, service.batches())) <= 2
    assert service.numbers() == list(range(7))


# What is taken


def test_an_event_is_what_it_was_when_it_was_taken(service, client):
    event = {"n": 1}
    with client.buffered("main", max_delay=NEVER) as events:
        events.send(event)
        event["n"] = 2
        events.send(event)
    assert service.numbers() == [1, 2]


def test_many_threads_may_send_and_each_event_arrives_once(service, client):
    with client.buffered("main", max_rows=20, max_waiting=40) as events:
        threads = [
            threading.Thread(target=lambda start=start: [events.send({"n": start + i}) for i in range(100)])
            for start in range(0, 800, 100)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(service.numbers()) == list(range(800))
    assert events.sent == 800


def test_an_event_without_columns_is_refused(client):
    with client.buffered("main") as events, pytest.raises(ValueError, match="at least one column"):
        events.send({})


def test_nothing_is_taken_once_it_is_closed(client):
    events = client.buffered("main")
    events.close()
    events.close()
    with pytest.raises(RuntimeError, match="closed"):
        events.send({"n": 1})


@pytest.mark.parametrize("wrong", [{"max_rows": 0}, {"max_rows": 10, "max_waiting": 9}, {"when_full": "wait"}])
def test_bounds_that_make_no_sense_are_refused(client, wrong):
    with pytest.raises(ValueError, match=r"max_rows|when_full"):
        client.buffered("main", **wrong)


# When it is full


def test_what_is_one_too_many_is_dropped_and_counted(service, client, caplog):
    service.gate.clear()
    with client.buffered("main", max_rows=1, max_waiting=3, when_full="drop") as events:
        for number in range(5):
            events.send({"n": number})
        assert (events.waiting, events.dropped) == (3, 2)
        service.gate.set()
    assert service.numbers() == [0, 1, 2]
    assert caplog.text.count("dropped") == 1


def test_what_is_one_too_many_waits_for_room(service, client):
    seen = []
    with client.buffered("main", max_rows=1, max_waiting=2) as events:
        service.look = lambda: seen.append(events.waiting)
        for number in range(20):
            events.send({"n": number})
    assert service.numbers() == list(range(20))
    assert set(seen) <= {1, 2}


def test_who_waits_for_room_is_told_when_the_buffer_closes(service, client):
    service.gate.clear()
    events = client.buffered("main", max_rows=1, max_waiting=1)
    events.send({"n": 0})
    told = []

    def wait():
        try:
            events.send({"n": 1})
        except RuntimeError as error:
            told.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    with pytest.raises(ServiceUnavailable, match="1 events of main could not be sent in time"):
        events.close(timeout=0)
    waiting.join(PATIENCE)
    assert told == ["the buffer is closed"]


# When the service is in trouble


@pytest.mark.parametrize("trouble", ["cut", 429, 502, 503, 504, 507])
def test_trouble_that_passes_is_sat_out_with_the_same_key(service, client, trouble):
    service.answers = [trouble] * 10
    with client.buffered("main", max_delay=NEVER) as events:
        events.send({"n": 1})
    assert service.batches() == [[1]]
    assert len(service.requests) == 11
    assert len({key for _, _, key, _ in service.requests}) == 1


def test_what_is_refused_is_counted_and_told_and_the_next_goes_on(service, client, caplog):
    service.answers = [400]
    lost = []
    with client.buffered("main", max_delay=NEVER, on_lost=lambda rows, error: lost.append((rows, error.status))) as b:
        b.send({"n": 1})
        with pytest.raises(RequestRefused, match="400"):
            b.flush()
        b.send({"n": 2})
        b.flush()
        assert (b.sent, b.refused, b.dropped) == (1, 1, 0)
    assert lost == [([{"n": 1}], 400)]
    assert "1 events of main are lost: 400" in caplog.text
    assert service.batches() == [[2]]


def test_an_on_lost_that_fails_stops_nothing(service, client, caplog):
    service.answers = [400]
    with client.buffered("main", max_rows=1, on_lost=lambda *_: 1 // 0) as events:
        events.send({"n": 1})
        with pytest.raises(RequestRefused):
            events.flush()
        events.send({"n": 2})
    assert service.batches() == [[2]]
    assert "on_lost failed" in caplog.text


def test_events_that_cannot_be_written_are_lost_alone(service, client):
    class Unspeakable:
        def __str__(self):
            raise OSError("no")

    with client.buffered("main", max_delay=NEVER) as events:
        events.send({"n": Unspeakable()})
        with pytest.raises(BadBody, match="can't be put into a table: OSError"):
            events.flush()
        events.send({"n": 2})
    assert (service.batches(), events.refused) == ([[2]], 1)


def test_a_flush_that_takes_too_long_raises_and_the_events_wait_on(service, client):
    service.gate.clear()
    with client.buffered("main", max_delay=NEVER) as events:
        events.send({"n": 1})
        with pytest.raises(ServiceUnavailable, match="1 events of main could not be sent in time"):
            events.flush(timeout=0)
        service.gate.set()
    assert service.batches() == [[1]]


def test_closing_does_not_wait_for_ever_for_a_service_that_is_not_there():
    with CollectorClient("http://127.0.0.1:9") as nobody:  # the port of "discard"
        events = nobody.buffered("main", max_delay=NEVER)
        events.send({"n": 1})
        with pytest.raises(ServiceUnavailable, match=r"can't be reached|in time"):
            events.close(timeout=0.1)


# Processes


def run(script, service):
    """Run a script to its end, with ``client`` there."""
    head = f"from collector.client import CollectorClient\nclient = CollectorClient({service.url!r})\n"
    return subprocess.run(
        [sys.executable, "-c", head + script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"},
    )


def test_the_interpreters_exit_sends_what_waits(service):
    ended = run("b = client.buffered('main', max_delay=3600)\nb.send({'n': 1})\nb.send({'n': 2})", service)
    assert service.batches() == [[1, 2]]
    assert ended.stderr == ""


def test_events_are_sent_that_come_when_no_thread_may_begin(service):
    """From an atexit function; by Python 3.12 and later, it may start none."""
    script = """
import atexit
events = client.buffered('main', max_delay=3600)
atexit.register(lambda: [events.send({'n': 1}), events.send({'n': 2})])
"""
    run(script, service)
    assert service.batches() == [[1, 2]]


def test_events_of_other_threads_are_sent_that_end_after_the_main_one(service):
    script = """
import threading, time
events = client.buffered('main', max_delay=3600)
def work():
    threading.main_thread().join()
    events.send({'n': 1})
threading.Thread(target=work).start()
"""
    run(script, service)
    assert service.batches() == [[1]]


def test_an_exit_while_nobody_listens_tells_what_is_lost():
    nobody = FakeService()
    nobody.server.server_close()
    script = """
import collector.client.buffer
collector.client.buffer.EXIT_TIMEOUT = 0.1
events = client.buffered('main', max_delay=3600)
events.send({'n': 1})
"""
    ended = run(script, nobody)
    assert "1 events of main are lost" in ended.stderr


def test_a_forked_child_sends_its_own_events_and_not_its_parents(service):
    script = """
import os
events = client.buffered('main', max_delay=3600)
events.send({'n': 0})
events.flush()
events.send({'n': 1})
child = os.fork()
if not child:
    assert events.waiting == 0
    events.send({'n': 2})
    raise SystemExit  # its atexit functions send it
assert os.waitpid(child, 0)[1] == 0
events.send({'n': 3})
"""
    run(script, service)
    assert service.batches() == [[0], [2], [1, 3]]


def test_a_child_of_a_fork_amid_sending_takes_events(service):
    """Whatever locks others held then."""
    script = """
import os, threading
events = client.buffered('main', max_rows=1, max_waiting=10)
is_over = threading.Event()
def work():
    while not is_over.is_set():
        events.send({'n': 0})
thread = threading.Thread(target=work)
thread.start()
children = []
for _ in range(2):
    children.append(os.fork())
    if not children[-1]:
        events.send({'n': 1})
        events.close()
        os._exit(0)
statuses = [os.waitpid(child, 0)[1] for child in children]
is_over.set()
thread.join()
assert statuses == [0] * 2, statuses
"""
    run(script, service)
    assert sum(service.numbers()) == 2
