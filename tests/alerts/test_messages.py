"""Alertmanager's body, and the same as text."""

import json

from worlds import EPOCH, collector

from collector.alerts.messages import NAMES, alert_of, body_of, is_firing, text_of
from collector.alerts.rules import Change
from collector.config import Alert, CollectorServiceConfig
from collector.config.alerts import LASTING, OF_BATCHES
from collector.store.records import AlertState

SAID = {"summary": "main: 1 of 4 columns drifted: age 0.3 > 0.1", "batch_id": "batch-1", "drift": "age 0.3 > 0.1"}
PROJECT = "018f0000-0000-7000-8000-00000000000a"
CONFIG = CollectorServiceConfig(
    collectors={"a b": collector("a b", project_name=None, project_id=PROJECT)},
    external_url="https://collector.example/",
    ui_url="https://ui.example",
)


def change(when="drift", collector_id="a b", *, is_over=False, columns=(), **said):
    state = AlertState("rule", collector_id, not is_over, 1, "batch-1", EPOCH, 0.0, EPOCH, SAID | said)
    return Change(Alert.parse({"when": when, "to": ["http://x/"], "columns": list(columns)}), state, is_over)


def body(*changes, config=CONFIG, collector_id="a b"):
    alerts = [alert_of(one, config, EPOCH + 60) for one in changes]
    return body_of(alerts, collector_id, config.external_url)


def test_it_has_all_that_alertmanager_writes():
    """By its docs and template/template.go: who reads its webhooks reads ours."""
    labels = {"alertname": "EvidentlyCollectorDrift", "severity": "ticket", "collector": "a b"}
    annotations = SAID | {"ui_url": f"https://ui.example/projects/{PROJECT}"}
    made = json.loads(body(change()))
    fingerprint = made["alerts"][0].pop("fingerprint")
    assert (len(fingerprint), int(fingerprint, 16) >= 0) == (16, True)
    assert made == {
        "version": "4",
        "groupKey": '{}:{collector="a b"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "evidently-collector",
        "groupLabels": {"collector": "a b"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://collector.example",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2023-11-14T22:13:20.000+00:00",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://collector.example/-/collectors/a%20b",
            }
        ],
    }


def test_its_end_is_the_same_alert_with_a_time_at_which_it_ended():
    [firing], [over] = (json.loads(body(change(is_over=is_over)))["alerts"] for is_over in (False, True))
    assert (over["status"], over["endsAt"]) == ("resolved", "2023-11-14T22:14:20.000+00:00")
    assert {**over, "status": "firing", "endsAt": firing["endsAt"]} == firing


def test_a_message_fires_as_long_as_any_of_it_does():
    over, firing = change(is_over=True), change("tests_failed", summary="main: tests")
    assert [is_firing(body(*each)) for each in [(over,), (firing,), (over, firing)]] == [False, True, True]
    both = json.loads(body(over, firing))
    assert both["commonLabels"] == {"severity": "ticket", "collector": "a b"}
    assert both["commonAnnotations"].keys() == {"batch_id", "drift", "ui_url"}


def test_without_addresses_of_ours_there_are_no_links():
    made = json.loads(body(change(), config=CollectorServiceConfig()))
    assert (made["externalURL"], made["alerts"][0]["generatorURL"]) == ("", "")
    assert "ui_url" not in made["alerts"][0]["annotations"]


def test_what_is_wrong_with_the_service_has_no_collector():
    made = json.loads(body(change("disk", ""), collector_id=""))
    assert (made["groupKey"], made["groupLabels"]) == ("{}:{}", {})
    assert made["alerts"][0]["generatorURL"] == "https://collector.example/"
    assert "collector" not in made["alerts"][0]["labels"]


def test_every_condition_has_a_name():
    assert NAMES.keys() == {*OF_BATCHES, *LASTING}


def test_people_get_the_same_as_text():
    title, text = text_of(body(change()))
    assert title == "FIRING main: 1 of 4 columns drifted: age 0.3 > 0.1"
    assert text.splitlines() == [
        title,
        "batch id: batch-1",
        "drift: age 0.3 > 0.1",
        f"ui url: https://ui.example/projects/{PROJECT}",
        "https://collector.example/-/collectors/a%20b",
    ]
    title, text = text_of(body(change(is_over=True), change("tests_failed")))
    assert title == "FIRING a b 2 alerts"
    assert [line.partition(" ")[0] for line in text.splitlines() if "columns drifted" in line] == ["RESOLVED", "FIRING"]


def test_rules_on_other_columns_are_other_alerts_to_who_takes_them_in():
    """The end of one was taken for the end of the other, which had the same labels."""
    one, other, whole = json.loads(body(change(columns=["age"], is_over=True), change(columns=["plan"]), change()))[
        "alerts"
    ]
    assert (one["labels"]["columns"], other["labels"]["columns"], "columns" in whole["labels"]) == (
        "age",
        "plan",
        False,
    )
    assert len({alert["fingerprint"] for alert in (one, other, whole)}) == 3
