"""A message is posted to a real server, which answers well, badly, late, or without end."""

import socket

import pytest
import trio

from collector.alerts import webhook
from collector.alerts.webhook import post
from collector.errors import AlertRefused, AlertRejected, AlertUnsent
from collector.web.clients import open_clients

from .receivers import message, receiving

PATIENCE = 30


@pytest.fixture
async def clients():
    async with open_clients() as made:
        yield made


async def test_it_arrives_as_json(clients):
    with receiving() as receiver:
        assert await post(clients, receiver.hook, message("ä")) == "answered 200"
        [request] = receiver.requests
    assert (request.headers["content-type"], request.headers["user-agent"].partition("/")[0]) == (
        "application/json",
        "evidently-collector",
    )
    assert request.json()["alerts"][0]["annotations"]["summary"] == "ä"


@pytest.mark.parametrize(
    ("answer", "kind", "pause"),
    [
        ((429, {}, {"Retry-After": "120"}), AlertUnsent, 120),
        ((503, {}, {"Retry-After": "1000000"}), AlertUnsent, 3600),
        ((503, {}, {"Retry-After": "soon"}), AlertUnsent, 0),
        ((500, {}, {"Retry-After": "120"}), AlertUnsent, 0),
        ((401, {}, {}), AlertRefused, 0),
        ((404, {}, {}), AlertRefused, 0),
        ((302, {}, {"Location": "http://elsewhere.example/token"}), AlertRefused, 0),
        ((400, {}, {}), AlertRejected, 0),
        ((413, {}, {}), AlertRejected, 0),
    ],
    ids=str,
)
async def test_a_refusal_says_whether_and_when_to_try_again(clients, answer, kind, pause):
    with receiving(answer) as receiver:
        with pytest.raises(AlertUnsent, match=f"^it answered {answer[0]}") as caught:
            await post(clients, receiver.hook, message())
        assert (type(caught.value), caught.value.retry_after, len(receiver.requests)) == (kind, pause, 1)
    assert "token" not in str(caught.value)
    assert "hook" not in str(caught.value)


async def test_the_reason_of_a_refusal_is_told_and_cut(clients):
    answer = 400, b"no  such\nfield " + b"x" * 1_000_000, {}
    with receiving(answer) as receiver, pytest.raises(AlertRejected, match=r"400 \(no such field xx") as caught:
        await post(clients, receiver.hook, message())
    assert len(str(caught.value)) < 400


async def test_an_answer_that_quotes_the_address_is_told_without_its_token(clients):
    with receiving() as receiver:
        receiver.answers["POST", "/hook/SecretToken"] = (404, b"no /hook/SecretToken?key=SecretKey here", {})
        with pytest.raises(AlertRefused, match=r"answered 404 \(no /hook/\*+\?key=\*+ here\)"):
            await post(clients, f"{receiver.hook}/SecretToken?key=SecretKey", message())


async def test_an_address_that_is_away_is_tried_again(clients):
    with trio.fail_after(PATIENCE), pytest.raises(AlertUnsent, match="can't be reached") as caught:
        await post(clients, "http://127.0.0.1:1/hook", message())
    assert not isinstance(caught.value, AlertRefused | AlertRejected)
    assert "hook" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://", "http://[::1/hook", "http://a\u0080b/hook", "http://x:999999/hook"])
async def test_an_address_that_is_none_is_told_without_it(clients, address):
    with pytest.raises(AlertUnsent) as caught:
        await post(clients, address, message())
    assert "hook" not in str(caught.value)


@pytest.mark.parametrize(("head", "is_taken"), [(b"HTTP/1.1 200 OK", True), (b"HTTP/1.1 500 No", False)])
async def test_an_answer_without_end_costs_no_more_than_its_bound(clients, head, is_taken):
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, head + b"\r\n\r\n", b"x" * 65_536)
        with trio.fail_after(PATIENCE):
            if is_taken:
                await post(clients, address, message())
            else:
                with pytest.raises(AlertUnsent, match="answered 500"):
                    await post(clients, address, message())
        nursery.cancel_scope.cancel()


async def test_an_answer_that_does_not_come_is_given_up(clients, monkeypatch):
    monkeypatch.setattr(webhook, "TIMEOUT", 0.2)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, b"", b"")
        with trio.fail_after(PATIENCE), pytest.raises(AlertUnsent, match=r"no whole answer came within 0\.2 s"):
            await post(clients, address, message())
        nursery.cancel_scope.cancel()


async def serve(head, forever, *, task_status):
    """Answer each connection with a head, and then the same again and again; nothing, if that is empty."""

    async def answer(stream):
        try:
            await stream.receive_some()
            await stream.send_all(head)
            while forever:
                await stream.send_all(forever)
            await trio.sleep_forever()
        except trio.BrokenResourceError:
            pass

    listener = trio.SocketListener(trio.socket.from_stdlib_socket(socket.create_server(("127.0.0.1", 0))))
    task_status.started(f"http://127.0.0.1:{listener.socket.getsockname()[1]}/hook")
    await trio.serve_listeners(answer, [listener])


async def test_a_proxy_that_cannot_be_used_is_told(clients, monkeypatch):
    monkeypatch.setenv("http_proxy", "ftp://proxy.example")
    with pytest.raises(AlertRefused, match="http_proxy names a 'ftp' proxy"):
        await post(clients, "http://hook.example/token", message())
