"""Requests to a real HTTP server of the test's own."""

import socket

import pytest
import trio
from worlds import FakeService, collector

from collector.errors import DeliveryError, DeliveryRefused, SnapshotTooLarge
from collector.web.clients import open_clients
from collector.workspaces.http import Connections, raise_for, read_as

THING = ("GET", "/thing")
LEGACY = {"metrics": [], "tests": [{"type": "evidently:test:X"}], "options": {}, "metadata": {}, "tags": []}


@pytest.fixture
def service():
    with FakeService() as service:
        service.answers[THING] = (200, {"ok": True}, {})
        yield service


async def ask(config):
    async with open_clients() as clients:
        response = await Connections(clients).exchange(config, "GET", "/thing")
        raise_for(response, config)
        return await read_as(dict, response, config)


async def refused(config):
    with pytest.raises(DeliveryError) as caught:
        await ask(config)
    return caught.value


async def test_a_good_answer_is_given(service):
    assert await ask(collector(api_url=service.url)) == {"ok": True}


async def test_a_slash_at_the_end_of_api_url_does_no_harm(service):
    await ask(collector(api_url=service.url + "/"))
    assert service.asked() == ["GET /thing"]


@pytest.mark.parametrize(
    ("status", "kind", "is_ambiguous", "advice"),
    [
        (400, DeliveryRefused, False, "answered 400"),
        (401, DeliveryRefused, False, "write the right one"),
        (403, DeliveryRefused, False, "write the right one"),
        (404, DeliveryRefused, False, "make it there, or give a project_name"),
        (405, DeliveryRefused, False, "api_url must be the address of an 'evidently ui'"),
        (408, DeliveryError, False, "answered 408"),
        (413, SnapshotTooLarge, False, "over its body limit"),
        (429, DeliveryError, False, "answered 429"),
        (500, DeliveryError, True, "answered 500"),
        (502, DeliveryError, True, "answered 502"),
        (503, DeliveryError, False, "answered 503"),
        (504, DeliveryError, True, "answered 504"),
    ],
)
async def test_a_refusal_says_what_to_do_and_what_it_leaves_open(service, status, kind, is_ambiguous, advice):
    """Of a 5xx other than 503 one can't know whether the work was done."""
    service.answers[THING] = (status, {"detail": "because"}, {})
    error = await refused(collector(api_url=service.url))
    assert (type(error), error.is_ambiguous) == (kind, is_ambiguous)
    assert str(error).startswith(f"{service.url} answered {status} (because)")
    assert advice in str(error)


async def test_a_wrong_kind_of_service_is_named(service):
    service.answers[THING] = (405, {}, {})
    legacy = collector(api_url=service.url, report_config=LEGACY)
    assert "accepts no legacy snapshots; api_url must be the address of an 'evidently legacy_ui'" in str(
        await refused(legacy)
    )


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("999999", 3600), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("", 0)]
)
async def test_a_pause_that_a_service_asks_for_is_kept_up_to_an_hour(service, header, seconds):
    service.answers[THING] = (503, {}, {"Retry-After": header})
    assert (await refused(collector(api_url=service.url))).retry_after == seconds


async def test_an_answer_that_is_no_json_is_not_quoted(service):
    service.answers[THING] = (502, b"<html>Bad Gateway</html>", {})
    assert str(await refused(collector(api_url=service.url))) == f"{service.url} answered 502"


async def test_a_lost_answer_leaves_it_open(service):
    service.answers[THING] = None
    error = await refused(collector(api_url=service.url))
    assert error.is_ambiguous
    assert "didn't answer" in str(error)


async def test_a_service_that_is_not_there_got_nothing():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"  # bound, but nobody listens
        error = await refused(collector(api_url=url))
    assert (error.is_ambiguous, f"{url} can't be reached" in str(error)) == (False, True)


async def test_a_service_that_asks_to_go_on_without_end_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener, trio.fail_after(30):  # half of what silence may last
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, ask_to_go_on, listener)
            error = await refused(collector(api_url=f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert "more than 100 interim answers" in str(error)


def ask_to_go_on(listener):
    client, _ = listener.accept()
    with client:
        client.recv(1000)
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 101)
        client.recv(1000)  # until it leaves


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirection_is_no_success(service, status):
    """As of http:// to https://: the snapshot isn't in any workspace."""
    service.answers[THING] = (status, b"", {"Location": "https://elsewhere"})
    assert isinstance(await refused(collector(api_url=service.url)), DeliveryRefused)
