"""Promise 10: what is sent again under its key is kept once, also across a kill and after its batch was delivered."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from collector.client import AsyncCollectorClient, CollectorClient

from ..conftest import BY_TALLY, NEVER, rows_trigger, service_config, wait_until
from .conftest import numbered, wait_for_delivery
from .ledger import NUMBER, arrow_body, json_body, table

PROMISE = "10 idempotency"
ROWS = 3
AT_ONCE = 4


@pytest.fixture
def daemon(make_daemon):
    running = make_daemon(service_config({"main": numbered(rows_trigger(NEVER))}), evaluates=False).start()
    yield running
    running.stop()


class Request:
    """A numbered POST under a key, which may be sent any number of times."""

    def __init__(self, ledger, encode, idempotency_key):
        self.key = ledger.begin("main", ROWS)
        self._ledger = ledger
        self._body, content_type = encode(self.key[1], ROWS)
        self._headers = {"Content-Type": content_type, "Idempotency-Key": idempotency_key}

    def send(self, daemon):
        answer = daemon.http.post("/main/data", content=self._body, headers=self._headers)
        self._ledger.answer(self.key, answer.status_code)
        return answer.status_code, answer.json()


def test_a_post_under_its_key_is_kept_once_and_answered_alike_across_kills_stops_and_delivery(
    daemon, ledger, audit, figures, is_long
):
    ends = [daemon.kill, daemon.stop] * (5 if is_long else 1)
    requests = [Request(ledger, encode, f"key {encode.__name__}") for encode in (json_body, arrow_body)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for end in [None, *ends, None]:
            if end:
                end()
                daemon.evaluates = BY_TALLY if end == ends[-1] else False
                daemon.start()
            for request in requests:
                answers = list(pool.map(lambda _: request.send(daemon), range(AT_ONCE)))  # noqa: B023  # ended here
                assert answers == [(201, {})] * AT_ONCE
                figures.faults["repeated POSTs"] += AT_ONCE
            assert audit(daemon).is_sound
            if end == ends[-1]:
                wait_for_delivery(daemon, ["main"])
    verdict = audit(daemon)
    assert verdict.stages["delivered"] == verdict.acknowledged
    figures.take(verdict)


def test_another_body_under_a_key_is_refused_also_after_a_kill(daemon, ledger, audit, figures):
    assert Request(ledger, json_body, "key").send(daemon)[0] == 201
    for _ in range(2):
        status, problem = Request(ledger, json_body, "key").send(daemon)
        assert (status, problem["status_code"]) == (422, 422)
        assert "'key' came before with another body" in problem["detail"]
        daemon.kill()
        daemon.start()
    figures.take(audit(daemon))
    figures.faults["other bodies"] += 2


def send(url, rows):
    with CollectorClient(url) as client:
        client.send_data("main", rows)


async def send_async(url, rows):
    async with AsyncCollectorClient(url) as client:
        await client.send_data("main", rows)


CLIENTS = {
    "blocking": send,
    "trio": lambda *arguments: trio.run(send_async, *arguments),
    "asyncio": lambda *arguments: asyncio.run(send_async(*arguments)),
}


@pytest.mark.parametrize(
    "client", ["blocking", *(pytest.param(one, marks=pytest.mark.slow) for one in ("trio", "asyncio"))]
)
def test_a_client_whose_answers_are_lost_while_the_daemon_is_killed_and_stopped_sends_its_rows_once(
    daemon, make_proxy, ledger, audit, figures, client
):
    ends = [daemon.kill, daemon.stop]

    def lose_and_end(*_):
        """Lose the answers to the first tries; between one and the next, end the daemon."""
        if proxy.seen and ends:
            ends.pop(0)()
            daemon.start()
        return "lose" if ends else None

    proxy = make_proxy(daemon.url, lose_and_end)
    key = ledger.begin("main", ROWS)
    CLIENTS[client](proxy.url, table(key[1], ROWS))
    ledger.answer(key, 201)
    assert [one[3] for one in proxy.seen] == ["lose", "lose", 201]
    assert daemon.status("main")["rows_waiting"] == ROWS
    figures.take(audit(daemon))
    figures.faults["lost answers"] += 2


def test_each_event_of_a_buffer_is_kept_once_though_the_daemon_is_killed_amid_sending(
    daemon, ledger, audit, figures, is_long
):
    kills = 20 if is_long else 1
    with CollectorClient(daemon.url) as client, client.buffered("main", max_rows=20, max_delay=0.01) as events:
        for _ in range(kills):
            sent = events.sent
            for _ in range(2000):
                key = ledger.begin("main", 1)
                events.send({NUMBER: key[1], "value": 0.5})
            wait_until(lambda sent=sent: events.sent > sent, "the first of them", pause=0.001)
            daemon.kill()
            assert events.waiting
            daemon.start()
    for key in ledger.sent:
        ledger.answer(key, 201)
    assert (events.sent, events.waiting) == (2000 * kills, 0)
    assert daemon.status("main")["rows_waiting"] == 2000 * kills
    figures.take(audit(daemon))
    figures.faults["kills amid buffered sending"] += kills
