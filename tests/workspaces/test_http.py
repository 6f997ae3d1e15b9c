"""Requests to a real HTTP server of the test's own."""

import socket

import pytest
from worlds import FakeService, collector

from collector.errors import ConfigError, DeliveryError, DeliveryRefused, SnapshotTooLarge
from collector.workspaces.http import Services

LOGIN = ("GET", "/api/users/login")
THING = ("GET", "/thing")
LEGACY = {"metrics": [], "tests": [{"type": "evidently:test:X"}], "options": {}, "metadata": {}, "tags": []}


@pytest.fixture
def service():
    with FakeService() as service:
        service.answers[THING] = (200, {"ok": True}, {})
        yield service


async def ask(config, times=1):
    services = Services()
    try:
        return [(await services.request(config, "GET", "/thing")).json() for _ in range(times)]
    finally:
        await services.aclose()


async def refused(config):
    with pytest.raises(DeliveryError) as caught:
        await ask(config)
    return caught.value


def cloud(service, secret, **fields):
    return collector(api_url=service.url, is_cloud=True, api_secret=secret, **fields)


async def test_a_good_answer_is_given(service):
    assert await ask(collector(api_url=service.url)) == [{"ok": True}]


async def test_a_slash_at_the_end_of_api_url_does_no_harm(service):
    await ask(collector(api_url=service.url + "/"))
    assert service.asked() == ["GET /thing"]


async def test_a_service_gets_its_secret(service):
    await ask(collector(api_url=service.url, api_secret="s3cret"))
    assert service.requests[0].headers["evidently-secret"] == "s3cret"


async def test_a_secret_may_come_from_the_environment(service, monkeypatch):
    monkeypatch.setenv("THE_SECRET", "from the environment")
    await ask(collector(api_url=service.url, api_secret="${THE_SECRET}"))
    assert service.requests[0].headers["evidently-secret"] == "from the environment"


async def test_without_a_secret_none_is_sent(service):
    await ask(collector(api_url=service.url))
    assert "evidently-secret" not in service.requests[0].headers


async def test_cloud_takes_a_key_as_it_is(service):
    """Keys of Evidently Cloud begin with ``sk_`` and have two dots in them; older tokens have to log in."""
    await ask(cloud(service, "sk_a.b.c"))
    assert service.requests[0].headers["authorization"] == "Bearer sk_a.b.c"
    assert service.asked() == ["GET /thing"]


async def test_cloud_logs_in_once_with_an_old_token(service):
    service.answers[LOGIN] = (200, b"the-jwt", {})
    await ask(cloud(service, "old"), times=2)
    assert service.asked() == ["GET /api/users/login", "GET /thing", "GET /thing"]
    login, first, second = service.requests
    assert login.headers["x-evidently-token"] == "old"
    assert first.headers["cookie"] == second.headers["cookie"] == "app.at=the-jwt"


async def test_cloud_logs_in_again_when_its_login_expired(service):
    service.answers[LOGIN] = [(200, b"first", {}), (200, b"second", {})]
    service.answers[THING] = [(200, {}, {}), (401, {}, {}), (200, {"ok": True}, {})]
    assert (await ask(cloud(service, "old"), times=2))[1] == {"ok": True}
    assert service.requests[-1].headers["cookie"] == "app.at=second"


async def test_cloud_that_refuses_a_fresh_login_too_is_not_asked_for_ever(service):
    service.answers[LOGIN] = (200, b"jwt", {})
    service.answers[THING] = (401, {}, {})
    assert isinstance(await refused(cloud(service, "old")), DeliveryRefused)
    assert service.asked() == ["GET /api/users/login", "GET /thing"] * 2


async def test_cloud_without_a_key_says_so(service):
    with pytest.raises(ConfigError, match="Evidently Cloud needs a key"):
        await ask(cloud(service, None))


async def test_two_accounts_in_cloud_have_two_logins(service):
    service.answers[LOGIN] = [(200, b"jwt of a", {}), (200, b"jwt of b", {})]
    services = Services()
    try:
        for secret in ("a", "b"):
            await services.request(cloud(service, secret), "GET", "/thing")
    finally:
        await services.aclose()
    cookies = [request.headers["cookie"] for request in service.requests if request.path == "/thing"]
    assert cookies == ["app.at=jwt of a", "app.at=jwt of b"]


@pytest.mark.parametrize(
    ("status", "kind", "is_ambiguous", "advice"),
    [
        (400, DeliveryRefused, False, "answered 400"),
        (401, DeliveryRefused, False, "give it the right one"),
        (403, DeliveryRefused, False, "give it the right one"),
        (404, DeliveryRefused, False, "make it there, or give a project_name"),
        (405, DeliveryRefused, False, "api_url must lead to an 'evidently ui'"),
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
    assert "doesn't take legacy snapshots; api_url must lead to an 'evidently legacy_ui'" in str(await refused(legacy))


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


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirection_is_no_success(service, status):
    """As of http:// to https://: the snapshot isn't in any workspace."""
    service.answers[THING] = (status, b"", {"Location": "https://elsewhere"})
    services = Services()
    try:
        with pytest.raises(DeliveryError):
            await services.request(collector(api_url=service.url), "GET", "/thing")
    finally:
        await services.aclose()


@pytest.mark.parametrize("secret", ["s3cret\n", "s3crét"], ids=["a file's line end", "not ASCII"])
async def test_a_secret_that_no_header_can_carry_is_refused_and_not_told(service, secret):
    with pytest.raises(ConfigError, match="api_secret: holds characters that no HTTP header may have") as raised:
        await ask(collector(api_url=service.url, api_secret=secret))
    assert secret.strip() not in str(raised.value)
    assert service.requests == []
