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

from .processes import run as program_run

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


# The interpreter's end


def run(script, service):
    """Run a script to its end, with ``client`` there."""
    head = f"from collector.client import CollectorClient\nclient = CollectorClient({service.url!r})\n"
    return subprocess.run(
        [sys.executable, "-c", head + script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
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


def test_events_are_sent_that_come_after_the_buffer_closed_at_the_end(service):
    """From an atexit function that was registered before the buffers' own."""
    script = """
import atexit
atexit.register(lambda: [events.send({'n': number}) for number in range(3)])
events = client.buffered('main', max_delay=3600)
events.send({'n': -1})
"""
    run(script, service)
    assert sorted(service.numbers()) == [-1, 0, 1, 2]


# Processes

SENDING = """
def send(number, events):
    for n in range(number, number + 1000):
        events.send({"n": n})

def own(number):
    send(number, CollectorClient(URL).buffered("main", max_delay=3600))

def inherited(number):
    send(number, events)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_what_waits_in_a_child_of_multiprocessing_is_sent_at_its_end(service, tmp_path, method):
    """Such a child ends without ``atexit``. Its buffer is its own, its parent's, or one that was handed to it."""
    program = """
events = CollectorClient(URL).buffered("main", max_delay=3600)
if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    if sys.argv[1] == "forkserver":
        context.set_forkserver_preload(["__main__"])
    send(0, events)
    work = [(own, (1000,)), (inherited, (2000,)), (send, (3000, events))]
    children = [context.Process(target=target, args=args) for target, args in work]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
"""
    program_run(tmp_path / "program.py", SENDING + program, service, method)
    assert sorted(service.numbers()) == list(range(4000))


def test_what_waits_in_workers_of_pools_is_sent_at_their_end(service, tmp_path):
    program = """
from concurrent.futures import ProcessPoolExecutor
events = CollectorClient(URL).buffered("main", max_delay=3600)
if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp.get_context("fork")) as executor:
        list(executor.map(inherited, range(0, 4000, 1000)))
    pool = mp.get_context("fork").Pool(2)
    pool.map(inherited, range(4000, 8000, 1000))
    pool.close()
    pool.join()
"""
    program_run(tmp_path / "program.py", SENDING + program, service)
    assert sorted(service.numbers()) == list(range(8000))


def test_a_child_that_fails_or_exits_sends_what_waits(service, tmp_path):
    program = """
def fail(number):
    own(number)
    if number:
        sys.exit(7)
    raise ZeroDivisionError

if __name__ == "__main__":
    children = [mp.get_context("fork").Process(target=fail, args=(number,)) for number in (0, 1000)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [1, 7]
"""
    program_run(tmp_path / "program.py", SENDING + program, service)
    assert sorted(service.numbers()) == list(range(2000))


def test_what_another_thread_sends_after_a_childs_function_is_over_is_sent(service, tmp_path):
    program = """
import threading
events = CollectorClient(URL).buffered("main", max_delay=3600)
def work():
    send(0, events)
    threading.Thread(target=late).start()

def late():
    while not events._is_ending and threading.main_thread().is_alive():  # from 3.13 on it ends after this thread
        pass
    for n in range(1000, 1010):
        events.send({"n": n})

if __name__ == "__main__":
    child = mp.get_context("fork").Process(target=work)
    child.start()
    child.join()
    assert child.exitcode == 0
"""
    program_run(tmp_path / "program.py", SENDING + program, service)
    assert sorted(service.numbers()) == list(range(1010))


def test_preforked_workers_send_their_own_events_until_a_signal_ends_them(service, tmp_path):
    """As those of gunicorn --preload do, whose parent has sent before, and sends on."""
    program = """
events = CollectorClient(URL).buffered("main", max_rows=10, max_delay=0.01)
send(0, events)
workers = []
for number in (1000, 2000):
    ready, told = os.pipe()
    workers.append(os.fork())
    if not workers[-1]:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        send(number, events)
        os.write(told, b"1")
        while True:
            time.sleep(0.01)  # a pause() that begins behind the signal would never end
    os.close(told)
    assert os.read(ready, 1)
send(3000, events)
for worker in workers:
    os.kill(worker, signal.SIGTERM)
assert [os.waitpid(worker, 0)[1] for worker in workers] == [0, 0]
"""
    program_run(tmp_path / "program.py", SENDING + program, service)
    assert sorted(service.numbers()) == list(range(4000))


@pytest.mark.slow  # its multiprocessing, by which they end, is below
def test_celerys_workers_send_what_waits_at_their_end(service, tmp_path):
    """A pool of Celery's ends them by ``os._exit``."""
    pytest.importorskip("celery")
    program = """
import pathlib, subprocess, time
from celery import Celery
queue = pathlib.Path("queue")
options = {"data_folder_in": queue, "data_folder_out": queue, "processed_folder": queue}
app = Celery("program", broker="filesystem://", broker_transport_options=options)
events = CollectorClient(URL).buffered("main", max_delay=3600)

@app.task(name="score")
def score(number):
    events.send({"n": number})
    pathlib.Path(f"scored-{number}").touch()

if __name__ == "__main__":
    queue.mkdir()
    command = [sys.executable, "-m", "celery", "--app", "program", "worker", "--concurrency", "2"]
    worker = subprocess.Popen(command, env=os.environ | {"C_FORCE_ROOT": "1"})
    for number in range(20):
        score.delay(number)
    while len(list(pathlib.Path().glob("scored-*"))) < 20:
        time.sleep(0.05)
    worker.terminate()
    assert worker.wait() == 0
"""
    program_run(tmp_path / "program.py", program, service)
    assert sorted(service.numbers()) == list(range(20))


def test_children_of_billiard_send_what_waits_at_their_end(service, tmp_path):
    """Billiard is Celery's multiprocessing."""
    pytest.importorskip("billiard")
    program = """
import billiard
events = CollectorClient(URL).buffered("main", max_delay=3600)
if __name__ == "__main__":
    children = [billiard.Process(target=work, args=(number,)) for work, number in ((own, 0), (inherited, 1000))]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
"""
    program_run(tmp_path / "program.py", SENDING + program, service)
    assert sorted(service.numbers()) == list(range(2000))


def test_a_child_tells_of_what_it_could_not_send(tmp_path):
    nobody = FakeService()
    nobody.server.server_close()
    program = """
import collector.client.buffer
collector.client.buffer.EXIT_TIMEOUT = 0.1
if __name__ == "__main__":
    child = mp.get_context("fork").Process(target=own, args=(0,))
    child.start()
    child.join()
"""
    assert "1000 events of main are lost" in program_run(tmp_path / "program.py", SENDING + program, nobody)


# What is too large for the way


def test_behind_a_limit_of_a_proxy_all_events_arrive_once(service, client):
    service.max_bytes = 20_000
    with client.buffered("main", max_rows=5_000, max_delay=NEVER) as events:
        for number in range(20_000):
            events.send({"n": number, "text": "x" * 10})
    assert service.numbers() == list(range(20_000))
    assert (events.sent, events.refused) == (20_000, 0)
    refusals = [answer for *_, answer in service.requests].count(413)
    assert refusals < 5  # the size that passed is kept
    assert len({key for _, _, key, answer in service.requests if answer == 201}) == len(service.batches())


def test_an_event_that_is_too_large_alone_is_lost_alone_and_told_in_words(service, client):
    service.max_bytes = 5_000
    lost = []
    with client.buffered(
        "main", max_delay=NEVER, on_lost=lambda some, error: lost.append((some, str(error)))
    ) as events:
        for number in range(100):
            events.send({"n": number, "text": "x" * (9_000 if number == 50 else 9)})
        with pytest.raises(RequestRefused, match="413: 413 Request Entity Too Large"):
            events.flush()
    assert service.numbers() == [number for number in range(100) if number != 50]
    assert [event["n"] for some, _ in lost for event in some] == [50]
    assert (events.sent, events.refused) == (99, 1)
