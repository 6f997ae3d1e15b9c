"""The pages as a browser asks for them, over the app and over a socket."""

import json
import re
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
import trio
from fakes import PATIENCE, collector_config

from collector.ingest.http.page import pages
from collector.ingest.http.page.sessions import Sessions

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
SECRET = "hunter2"
ROW = b'{"a": {"0": 1}}'
HOSTILE = '<img src=x onerror=alert(1)>"&'


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(pages, "WRONG_SECRET_PAUSE", 0.0)


async def get(service, path, **headers):
    return await service.http.get(path, headers=BROWSER | headers)


def token_in(html, action):
    """Return the token in the form of an action."""
    return re.search(rf'action="[^"]*/{action}">.*?name="token"[^>]*value="(\w*)"', html, re.DOTALL)[1]


async def sign_in(service, secret=SECRET, where="/"):
    form = (await get(service, "/-/login")).text
    sent = {"token": token_in(form, "login"), "secret": secret, "next": where}
    return await service.http.post("/-/login", data=sent, headers=BROWSER)


# Who gets what


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html", "application/json"),
        ("text/html;q=0.5, */*", "application/json"),
        ("text/html", "text/html; charset=utf-8"),
        (BROWSER["Accept"], "text/html; charset=utf-8"),
    ],
)
async def test_a_browser_gets_the_page_and_all_others_json(service, accept, kind):
    answer = await service.http.get("/", headers={} if accept is None else {"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


async def test_a_page_allows_nothing_but_what_we_serve(service):
    answer = await get(service, "/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<script>|<style|style=|\son\w+=", answer.text)
    assert not re.search(r'(src|href)="(?!/|#)', answer.text)


async def test_all_that_a_page_asks_for_is_there_and_kept(service):
    html = (await get(service, "/")).text
    paths = set(re.findall(r'"(/-/page/[^"]+)"', html))
    assert len(paths) == 5
    for path in paths:
        answer = await service.http.get(path)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
    assert (await service.http.get("/-/page/nothing.css")).status_code == 404


# The overview


async def test_what_clients_called_things_is_text(open_service):
    async with open_service(collectors=(HOSTILE,)) as service:
        for path in ("/", f"/-/collectors/{quote(HOSTILE, safe='')}"):
            html = (await get(service, path)).text
            assert "<img" not in html
            assert "&lt;img src=x onerror=alert(1)&gt;&#34;&amp;" in html


async def test_collectors_are_looked_for_without_scripts(open_service):
    async with open_service(collectors=("churn-eu", "churn-us", "fraud")) as service:
        html = (await get(service, "/?q=CHURN")).text
        none = (await get(service, "/?q=nope")).text
    assert [name in html for name in ("churn-eu", "churn-us", "fraud")] == [True, True, False]
    assert "None of 3 collectors matches." in none


async def test_one_who_has_no_scripts_may_have_it_shown_anew(service):
    assert "refresh" not in (await get(service, "/")).headers
    answer = await get(service, "/?refresh=10")
    assert answer.headers["refresh"] == "10"
    assert 'href="/?refresh=10"' in answer.text


# A collector


async def test_a_collector_has_a_page_with_its_config_and_the_line_to_edit_it(open_service):
    async with open_service() as service:
        config = collector_config(api_secret="let-me-in", api_url="http://ui:8000")
        service.supervisor.config = service.supervisor.config.with_collector(config)
        html = (await get(service, "/-/collectors/main")).text
        text = service.supervisor.config_text
    assert "let-me-in" not in html
    assert "********" in html
    line = text.splitlines().index('    "main": {') + 1
    assert f"line {line}: edit it there" in html
    assert 'href="http://ui:8000/projects/018f0000-0000-7000-8000-00000000000a"' in html


async def test_a_collector_that_is_not_there_is_told_as_a_page(service):
    answer = await get(service, "/-/collectors/nope")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "<h1>Not Found</h1>" in answer.text


# Orders


async def test_what_waits_is_evaluated_when_a_person_says_so(service):
    await service.post("/main/data", ROW)
    html = (await get(service, "/-/collectors/main")).text
    sent = {"token": token_in(html, "flush")}
    answer = await service.http.post("/-/collectors/main/flush", data=sent, headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/-/collectors/main?said=flushed")
    assert [batch.rows for batch in await service.journal.batches("main", "sealed")] == [1]
    assert "is being evaluated" in (await get(service, answer.headers["location"])).text
    again = await service.http.post("/-/collectors/main/flush", data=sent, headers=BROWSER)
    assert again.headers["location"] == "/-/collectors/main?said=nothing"


async def test_failed_batches_are_shown_and_retried(service):
    await service.post("/main/data", ROW)
    batch = await service.journal.seal("main", "0190")
    await service.journal.mark(batch, "failed", error="ValueError: <b>bad</b>", attempts=3)
    html = (await get(service, "/-/collectors/main")).text
    assert "ValueError: &lt;b&gt;bad&lt;/b&gt;" in html
    assert "Retry 1 batch<" in html
    sent = {"token": token_in(html, "retry")}
    answer = await service.http.post("/-/collectors/main/retry", data=sent, headers=BROWSER)
    assert answer.headers["location"] == "/-/collectors/main?said=retried"
    assert [batch.state for batch in await service.journal.batches("main", "sealed", "failed")] == ["sealed"]


@pytest.mark.parametrize("action", ["flush", "retry"])
async def test_an_order_without_its_token_is_refused(open_service, action):
    async with open_service(collectors=("main", "other")) as service:
        await service.post("/main/data", ROW)
        html = (await get(service, "/-/collectors/other")).text
        for token in ("", "wrong", token_in(html, "flush"), token_in(html, "retry")):
            sent = {"token": token}
            answer = await service.http.post(f"/-/collectors/main/{action}", data=sent, headers=BROWSER)
            assert answer.status_code == 403
            assert "load the page again" in answer.text
        assert service.rows() == 1


async def test_a_page_of_another_site_orders_nothing_though_it_knew_the_token(service):
    await service.post("/main/data", ROW)
    sent = {"token": token_in((await get(service, "/-/collectors/main")).text, "flush")}
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await service.http.post("/-/collectors/main/flush", data=sent, headers=BROWSER | headers)
    assert (answer.status_code, service.rows()) == (403, 1)


@pytest.mark.parametrize("body", [b"token=" + b"x" * 20_000, b"\xff\xfe", b"&".join([b"a=1"] * 30)])
async def test_a_form_that_is_none_is_refused(service, body):
    answer = await service.http.post("/-/collectors/main/flush", content=body, headers=BROWSER)
    assert answer.status_code in {400, 403, 413}


# Signing in


async def test_without_the_secret_nothing_is_seen(open_service):
    async with open_service(secret=SECRET) as service:
        for path in ("/", "/?q=main", "/-/collectors/main"):
            answer = await get(service, path)
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/-/login?next={quote(path, safe='')}"
            assert "main" not in answer.text
        assert (await get(service, "/-/events")).status_code == 401
        order = await service.http.post("/-/collectors/main/flush", data={"token": "x"}, headers=BROWSER)
        assert order.headers["location"].startswith("/-/login")
        assert (await service.http.get("/")).status_code == 401  # as ever, for who isn't a browser


async def test_the_secret_begins_a_session_and_never_stands_in_it(open_service):
    async with open_service(secret=SECRET) as service:
        answer = await sign_in(service, where="/-/collectors/main")
        assert (answer.status_code, answer.headers["location"]) == (303, "/-/collectors/main")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly; SameSite=Lax" in cookie
        assert SECRET not in cookie
        page = await get(service, "/-/collectors/main")
        assert page.status_code == 200
        assert SECRET not in page.text
        sent = {"token": token_in(page.text, "logout")}
        await service.http.post("/-/logout", data=sent, headers=BROWSER)
        assert (await get(service, "/")).status_code == 303


@pytest.mark.parametrize("secret", ["", "wrong", "hunter2 ", "hünter2"])
async def test_another_secret_begins_none(open_service, secret):
    async with open_service(secret=SECRET) as service:
        answer = await sign_in(service, secret)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        assert "That isn&#39;t the service&#39;s secret." in answer.text.replace("'", "&#39;")
        assert (await get(service, "/")).status_code == 303


async def test_a_secret_of_any_letters_is_taken(open_service):
    async with open_service(secret="schlüssel") as service:
        assert (await sign_in(service, "schlüssel")).status_code == 303


@pytest.mark.parametrize(
    "where", ["https://evil.example", "//evil.example", "/\\evil.example", "/main", "javascript:0"]
)
async def test_signing_in_leads_to_a_page_of_ours(open_service, where):
    async with open_service(secret=SECRET) as service:
        assert (await sign_in(service, where=where)).headers["location"] == "/"


async def test_the_header_opens_pages_too(open_service):
    async with open_service(secret=SECRET) as service:
        assert (await get(service, "/", **{"evidently-secret": SECRET})).status_code == 200


async def test_a_cookie_opens_pages_alone(open_service):
    async with open_service(secret=SECRET) as service:
        await sign_in(service)
        assert (await get(service, "/")).status_code == 200
        for path in ("/main", "/main/logs", "/metrics"):
            assert (await service.http.get(path)).status_code == 401
        assert (await service.post("/main/data", ROW)).status_code == 401


async def test_a_token_is_of_its_session(open_service):
    async with open_service(secret=SECRET) as service:
        await sign_in(service)
        token = token_in((await get(service, "/-/collectors/main")).text, "flush")
        await sign_in(service)
        answer = await service.http.post("/-/collectors/main/flush", data={"token": token}, headers=BROWSER)
        assert answer.status_code == 403


async def test_services_on_one_machine_have_cookies_of_their_own(open_service):
    async with open_service(secret=SECRET) as service:
        form = (await get(service, "/-/login")).text
        sent = {"token": token_in(form, "login"), "secret": SECRET}
        names = [
            (await service.http.post("/-/login", data=sent, headers=BROWSER | {"Host": host})).headers["set-cookie"]
            for host in ("localhost:8001", "localhost:8002")
        ]
    assert [name.partition("=")[0] for name in names] == ["evidently-collector-8001", "evidently-collector-8002"]


async def test_a_session_is_kept_as_its_digest():
    """Who reads the memory of the process, or a dump of it, finds no cookie to use."""
    sessions = Sessions()
    cookie = sessions.begin()
    assert cookie.encode() not in repr(vars(sessions)).encode()


# What changes


@asynccontextmanager
async def listening(service, path):
    """Return what gives the next message of a stream; it waits for one for as long as it takes."""
    stream = await trio.open_tcp_stream("127.0.0.1", service.port)
    async with stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        came = b""

        async def receive():
            nonlocal came
            while not (found := re.search(rb"data: (.*)\n\n", came)):
                data = await stream.receive_some()
                assert data, came
                came += data
            came = came[found.end() :]
            return json.loads(found[1])

        yield receive


async def test_what_changes_is_streamed(open_front_door):
    async with open_front_door() as service:
        html = (await get(service, "/")).text
        path = re.search(r'data-stream="([^"]+)"', html)[1].replace("&amp;", "&")
        with trio.fail_after(PATIENCE):
            async with listening(service, path) as receive:
                assert "order" not in await receive()  # it is as the page has it
                await service.post("/main/data", ROW)
                while "cells" not in (news := await receive()):
                    pass
    [cells] = [texts for key, texts in news["cells"].items() if key.startswith("c-")]
    assert cells["open"] == "1 / 1000"
    assert "pieces" not in news  # a number changed, and that alone is sent


async def test_a_collector_is_streamed_with_its_token(open_front_door):
    async with open_front_door() as service:
        with trio.fail_after(PATIENCE):
            async with listening(service, "/-/collectors/main/events") as receive:
                first = await receive()
        assert first["pieces"].keys() == {"state", "plots", "snapshots", "failed", "log"}
        assert len(first["cells"]["failed"]["retry"]) == 64
        assert (await get(service, "/-/collectors/nope/events")).status_code == 404


async def test_a_stream_ends_with_its_reader(open_front_door):
    async with open_front_door() as service:
        with trio.fail_after(PATIENCE):
            async with listening(service, "/-/events") as receive:
                await receive()
            await service.draining.wait_idle()
