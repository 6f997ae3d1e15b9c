"""Promise 31: of what our clients send around forks, in bursts and behind smaller limits, each row arrives once."""

import json
import subprocess
import sys
import time

import pytest
import trio

from collector.client import AsyncCollectorClient

from ..conftest import NEVER, PATIENCE, environment, rows_trigger, service_config
from . import sender
from .conftest import numbered
from .ledger import NUMBER, table

PROMISE = "31 our clients"
SMALLER = 20_000  # bytes, of a proxy's limit
EVENTS = 2_000


@pytest.fixture
def daemon(make_daemon):
    return make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()


@pytest.mark.parametrize(
    "method", ["fork", *(pytest.param(one, marks=pytest.mark.slow) for one in ["forkserver", "spawn"])]
)
def test_processes_that_share_a_client_and_a_buffer_get_their_own_answers(
    daemon, ledger, audit, figures, is_long, method
):
    for run in range(5 if is_long else 1):
        ended = subprocess.run(
            [sys.executable, sender.__file__, daemon.url, method, str(run)],
            cwd=daemon.directory,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        for label, is_sent in json.loads(ended.stdout):
            to = "main" if int(label.rpartition("-")[2]) % 4 else "nobody"
            assert is_sent == (to == "main")
            ledger.sent[to, label] = 1
            ledger.answer((to, label), 201 if is_sent else 404)
        for child in range(sender.CHILDREN + 1):
            for number in range(sender.EVENTS):
                key = ("main", sender.label_of(run, child, "event", number))
                ledger.sent[key] = 1
                ledger.answer(key, 201)
        figures.faults[f"{method}: children"] += sender.CHILDREN
    daemon.stop()
    figures.take(audit(daemon))


def test_any_number_of_sends_at_once_is_taken_in_turn(daemon, ledger, audit, figures, is_long):
    async def send(client, key):
        await client.send_data("main", table(key[1], 1))
        ledger.answer(key, 201)

    async def send_all(count):
        async with AsyncCollectorClient(daemon.url) as client, trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(send, client, ledger.begin("main", 1))

    seconds = {}  # of our processor: it was by the square of their number
    for count in (10, 100, 1_000, *([2_500] if is_long else [])):
        begun, used = time.monotonic(), time.process_time()
        trio.run(send_all, count)
        seconds[count] = time.process_time() - used
        figures.faults["sends at once"] += count
        figures.others[f"{count} at once"] = f"{time.monotonic() - begun:.1f} s"
    assert max(seconds.values()) <= 2.5 * seconds[100] * max(seconds) / 100
    daemon.stop()
    figures.take(audit(daemon))


def test_what_a_proxy_takes_for_too_large_arrives_in_pieces(daemon, ledger, audit, figures, make_proxy):
    proxy = make_proxy(daemon.url, lambda _method, _path, body: 413 if len(body) > SMALLER else None)
    client = type(daemon.client)(proxy.url)
    with client, client.buffered("main") as buffer:
        for _ in range(EVENTS):
            key = ledger.begin("main", 1)
            buffer.send({NUMBER: key[1], "text": "x" * 100})
            ledger.answer(key, 201)
        key = ledger.begin("main", EVENTS)
        client.send_data("main", table(key[1], EVENTS))
        ledger.answer(key, 201)
    figures.faults["refusals as too large"] += sum(status == 413 for *_, status in proxy.seen)
    daemon.stop()
    figures.take(audit(daemon))
