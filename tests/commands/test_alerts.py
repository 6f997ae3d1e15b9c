"""``alerts`` lists rules as they stand, and sends tests; no address is shown whole."""

import json
from contextlib import asynccontextmanager

import pytest
from typer.testing import CliRunner
from worlds import EPOCH, FakeService, collector

from collector.cli import app
from collector.commands.alerts import list_alerts, send_tests
from collector.config import Alert, CollectorServiceConfig
from collector.config.alerts import address_key
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.store.records import AlertState
from collector.store.steps.alerts import post, put_state

HOOK = "https://hook.example/token"


def config(*alerts):
    collectors = {one.id: one for one in [collector("churn-eu"), collector("main")]}
    return CollectorServiceConfig(collectors=collectors, alerts=[Alert.parse(alert) for alert in alerts])


RULES = config(
    {"when": "tests_failed", "to": [HOOK, "slack://token"], "collectors": ["churn*"], "after": 2},
    {"when": "drift", "columns": ["age"], "to": [HOOK]},
    {"when": "no_events", "for": "15m", "to": ["${HOOK}"]},
    {"when": "disk", "to": [HOOK]},
)


@asynccontextmanager
async def open_book(base):
    with open_data_dir(base / "collector_data") as data_dir:
        async with open_journal(data_dir) as journal:
            yield journal.alerts


def test_without_a_journal_all_rules_are_calm(tmp_path):
    assert list(list_alerts(RULES, tmp_path, EPOCH)) == [
        "tests_failed of churn* after 2 batches, to https://hook.example/********, slack://********",
        "  calm",
        "drift (age) of *, to https://hook.example/********",
        "  calm",
        "no_events of * for 15m, to ${HOOK}",
        "  calm",
        "disk, to https://hook.example/********",
        "  calm",
    ]
    assert not (tmp_path / "collector_data").exists()


async def test_what_fires_and_what_waits_is_listed_also_while_the_service_runs(tmp_path):
    def fill(db):
        said = {"summary": "churn-eu: tests: 1 of 2 failed"}
        put_state(db, AlertState(RULES.alerts[0].key, "churn-eu", is_firing=True, since=EPOCH - 7200, said=said))
        put_state(db, AlertState(RULES.alerts[1].key, "main", bad=1))
        put_state(db, AlertState(RULES.alerts[1].key, "taken out", is_firing=True, since=EPOCH, said=said))
        return post(db, address_key(HOOK), "{}", EPOCH)

    async with open_book(tmp_path) as book:
        await book.write(fill)
        lines = list(list_alerts(RULES, tmp_path, EPOCH))
    assert lines == list(list_alerts(RULES, tmp_path, EPOCH)), "and after it has ended"
    assert lines[1] == "  firing for 2h: churn-eu: tests: 1 of 2 failed"
    assert lines[2:4] == ["drift (age) of *, to https://hook.example/********", "  calm"]
    assert lines[-1] == "1 message waits for https://hook.example/********; the service's log says why"


def test_each_address_gets_one_message_and_what_came_back_is_told():
    with FakeService() as service:
        service.answers = {("POST", "/a"): (200, {}, {}), ("POST", "/b"): (403, {"detail": "no"}, {})}
        a, b = f"{service.url}/a", f"{service.url}/b"
        rules = [{"when": "drift", "to": [a, b]}, {"when": "tests_failed", "to": [a]}]
        came_back = send_tests(config(*rules))
        [body] = [request.json() for request in service.requests if request.path == "/a"]
    shown = f"{service.url}/********"
    assert came_back == [(shown, "answered 200", True), (shown, 'it answered 403 ({"detail": "no"})', False)]
    assert body["alerts"][0]["labels"]["alertname"] == "EvidentlyCollectorTest"
    assert "arrive here" in body["commonAnnotations"]["summary"]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (500, 1)])
def test_the_command_exits_with_1_if_a_message_did_not_arrive(tmp_path, status, code):
    path = tmp_path / "config.json"
    with FakeService() as service:
        service.answers = {("POST", "/token"): (status, {}, {})}
        path.write_text(json.dumps({"alerts": [{"when": "drift", "to": [f"{service.url}/token"]}]}), encoding="utf-8")
        done = CliRunner().invoke(app, ["alerts", "--test", "--config-path", str(path)])
        listed = CliRunner().invoke(app, ["alerts", "--config-path", str(path)])
    assert (done.exit_code, f"answered {status}" in done.stdout) == (code, True)
    assert (listed.exit_code, listed.stdout.splitlines()[1:]) == (0, ["  calm"])
    assert "token" not in done.stdout + listed.stdout


def test_a_config_without_rules_says_so(tmp_path):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    done = CliRunner().invoke(app, ["alerts", "--config-path", str(tmp_path / "config.json")])
    assert (done.exit_code, "has no alerts" in done.stdout) == (0, True)
