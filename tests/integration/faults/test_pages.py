"""Promise 25: no web page that the operator looks at commands the service, by whatever way and under whatever name."""

import json

from ..conftest import NEVER, collector_config, interval_trigger, service_config

PROMISE = "25 pages of other sites"
OWN = {"Content-Type": "application/json"}
PAGES = [
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    {"Origin": "null", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://evil.example"},  # of a browser that is too old for the others
    {"Host": "evil.example"},  # its name leads here
    {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
]
MEDIA_TYPES = ("text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/json")


def test_a_page_neither_reads_nor_changes_anything(make_daemon, figures):
    config = service_config({"main": collector_config(interval_trigger(NEVER))})
    daemon = make_daemon(config, evaluates=False).start()
    before = daemon.http.get("/main").json()
    body = json.dumps(before | {"project_name": "loot"})
    commands = [
        ("POST", "/main", body),
        ("POST", "/new", body),
        ("POST", "/main/data", '[{"a": 1}]'),
        ("POST", "/main/reference", '[{"a": 1}]'),
        ("POST", "/main/flush", ""),
        ("POST", "/main/failed", ""),
        ("POST", "/-/reload", ""),
        ("DELETE", "/main", ""),
        ("GET", "/main", ""),
        ("GET", "/", ""),
        ("GET", "/metrics", ""),
    ]
    for page in PAGES:
        for media_type in MEDIA_TYPES:
            for method, path, content in commands:
                answer = daemon.http.request(method, path, content=content, headers={"Content-Type": media_type} | page)
                assert (page, method, path, answer.status_code) == (page, method, path, 403)
                figures.faults["requests of pages"] += 1
    assert daemon.http.get("/main").json() == before
    assert daemon.http.get("/new").status_code == 404
    assert daemon.status("main")["rows_waiting"] == 0


def test_who_is_no_page_is_answered_as_before(make_daemon, figures):
    config = service_config({"main": collector_config(interval_trigger(NEVER))}, allowed_hosts=["collector.example"])
    daemon = make_daemon(config, evaluates=False).start()
    for host in ("localhost", "0.0.0.0", f"127.0.0.1:{daemon.port}", "[::1]", "collector.example"):
        answer = daemon.http.post("/main/data", content='[{"a": 1}]', headers=OWN | {"Host": host})
        assert (host, answer.status_code) == (host, 201)
        figures.faults["names that pass"] += 1
    for path in ("/livez", "/readyz"):
        assert daemon.http.get(path, headers={"Host": "10-0-0-7.pods.example"}).status_code == 200
