from contextlib import nullcontext

import pytest

from collector.config import CollectorServiceConfig
from collector.errors import BadMediaType, Forbidden, Unauthorized
from collector.ingest.http.guard import Caller, Guard


@pytest.mark.parametrize("given", ["hunter2", "пароль".encode().decode("latin-1")])
def test_the_secret_lets_in_as_its_bytes_are_read_from_a_header(given):
    guard(given.encode("latin-1").decode()).authorize(given)


@pytest.mark.parametrize("given", [None, "", "hunter", "hunter22", "\u20ac"])
def test_another_secret_or_none_does_not(given):
    with pytest.raises(Unauthorized):
        guard("hunter2").authorize(given)


@pytest.mark.parametrize("given", [None, "any"])
def test_without_a_secret_anyone_is_let_in(given):
    assert guard().is_authorized(given)


def caller(method="POST", host="localhost:8001", **others):
    return Caller(method, host, **others)


def guard(secret=None, *, is_loopback=True, **settings):
    config = CollectorServiceConfig.parse(settings)
    return Guard(secret, lambda: config, is_loopback=is_loopback)


FOREIGN = {"origin": "http://evil.example", "fetch_site": "cross-site", "fetch_mode": "no-cors"}


@pytest.mark.parametrize(
    "page",
    [
        FOREIGN,
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000", "fetch_site": "same-site"},
        {"origin": "https://localhost"},
        {"origin": "http://localhost:80"},
        {"origin": "chrome-extension://abc", "fetch_site": "none"},
        {"fetch_site": "cross-site"},
        {"fetch_site": "Cross-Site"},
        {"fetch_site": "same-site"},
        {"fetch_site": "cross-site", "fetch_mode": "navigate"},
        {"method": "GET", "fetch_site": "cross-site"},
        {"method": "GET", "fetch_site": "cross-site", "fetch_mode": "navigate", "fetch_dest": "iframe"},
        {"method": "DELETE", "fetch_site": "cross-site", "fetch_mode": "navigate"},
    ],
)
def test_a_page_of_another_site_is_refused_and_told_how_to_allow_it(page):
    with pytest.raises(Forbidden, match='add its origin to "allowed_origins" in the config file'):
        guard().check_page(caller(**page))


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"fetch_mode": "cors"},
        {"fetch_site": "none"},
        {"fetch_site": "same-origin"},
        {"origin": "http://localhost:8001"},
        {"origin": "HTTP://LOCALHOST:8001", "fetch_site": "same-origin"},
        {"origin": "https://collector.example", "host": "collector.example"},
        {"origin": "https://collector.example", "host": "collector.example:443"},
        {"method": "GET", "fetch_site": "cross-site", "fetch_mode": "navigate"},
        {"method": "GET", "fetch_site": "cross-site", "fetch_mode": "navigate", "fetch_dest": "document"},
    ],
)
def test_our_own_pages_links_and_all_that_is_no_page_pass(page):
    guard().check_page(caller(**page))


def test_pages_of_an_origin_that_is_allowed_pass_and_no_others():
    allowing = guard(allowed_origins=["https://Dash.example/"])
    allowing.check_page(caller(**FOREIGN | {"origin": "https://dash.example"}))
    for origin in ("http://dash.example", "https://dash.example:8443", "https://dash.example.evil.example", ""):
        with pytest.raises(Forbidden):
            allowing.check_page(caller(**FOREIGN | {"origin": origin}))


PLAIN = ["", "localhost", "LocalHost:8001", "localhost.", "127.0.0.1:8001", "0.0.0.0:8001", "[::1]:8001", "10.0.0.7"]
NAMED = ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "localhost.evil.example", "collector", "1.2.3"]


@pytest.mark.parametrize("host", PLAIN)
def test_a_name_that_no_page_can_have_passes(host):
    guard().check_host(host)
    guard(allowed_hosts=["collector.example"], is_loopback=False).check_host(host)


@pytest.mark.parametrize("host", NAMED)
def test_another_name_is_refused_on_loopback_without_a_secret(host):
    """It may be that of a page whose name was made to lead here (DNS rebinding)."""
    with pytest.raises(Forbidden, match='add that name to "allowed_hosts" in the config file'):
        guard().check_host(host)
    guard(secret="hunter2").check_host(host)
    guard(is_loopback=False).check_host(host)


@pytest.mark.parametrize("others", [{}, {"secret": "hunter2"}, {"is_loopback": False}])
def test_names_that_are_allowed_pass_and_then_no_others_wherever_it_listens(others):
    allowing = guard(allowed_hosts=["Collector.example", "proxy:9000"], **others)
    for host in ("collector.example", "COLLECTOR.example:8001", "collector.example.", "proxy:9000"):
        allowing.check_host(host)
    for host in ("evil.example", "proxy", "proxy:8001"):
        with pytest.raises(Forbidden):
            allowing.check_host(host)


@pytest.mark.parametrize(("origin", "media_type"), [("", "text/plain"), ("", ""), ("http://x", "application/json")])
def test_a_config_needs_a_type_from_pages_alone(origin, media_type):
    Guard.check_config(caller(origin=origin), media_type)


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_config_that_any_page_may_send_without_being_asked_is_refused(media_type):
    with pytest.raises(BadMediaType, match="application/json"):
        Guard.check_config(caller(origin="http://localhost:8001"), media_type)


@pytest.mark.parametrize(
    ("secret", "is_loopback", "is_told"), [(None, False, True), ("s", False, False), (None, True, False)]
)
def test_an_operator_is_told_that_anyone_may_command(secret, is_loopback, is_told):
    made = guard(secret, is_loopback=is_loopback)
    assert ("no secret" in made.exposure) == is_told
    with pytest.raises(Forbidden, match="events aren't shown, as other machines") if is_told else nullcontext():
        made.check_events()
