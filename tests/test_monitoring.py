"""The alert rules and the dashboard that ship: they ask for metrics that are there, and alerts fire when due."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import yaml

from collector.status.status import State

ROOT = Path(__file__).parents[1]
RULES_FILE = ROOT / "configs" / "prometheus-rules.yml"
RULES = yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD = json.loads((ROOT / "configs" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PREFIX = "evidently_collector_"
# The docs' table, which tests/views/test_families.py compares with the code.
TABLE = re.findall(
    r"^\| `(\w+)` \| (info|gauge|counter|histogram) \| ([^|]*) \|",
    (ROOT / "configs" / "metrics.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
LABELS = {name: set(re.findall(r"`(\w+)`", labels)) for name, _, labels in TABLE}
HISTOGRAMS = {name for name, type_, _ in TABLE if type_ == "histogram"}
# What Prometheus adds itself.
TARGET = {"instance", "job"}

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool isn't installed (Debian: prometheus)"
)


def dashboard_expressions():
    """Return the queries of all panels and variables."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return queries + [one["definition"] for one in DASHBOARD["templating"]["list"] if "definition" in one]


EXPRESSIONS = [rule["expr"] for rule in RULES] + dashboard_expressions()


def selectors(expression):
    """Return the metrics in an expression that are ours, each with the labels that it is selected by."""
    found = re.findall(rf"\b{PREFIX}(\w+)(?:\{{([^}}]*)\}})?", expression)
    return [(_family(name), set(re.findall(r"(\w+)\s*(?:=~|!=|=|!~)", labels))) for name, labels in found]


def _family(name):
    base = re.sub("_(bucket|sum|count)$", "", name)
    return base if base in HISTOGRAMS else name


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_metrics_and_labels_that_are_there(expression):
    for name, labels in selectors(expression):
        assert name in LABELS
        assert labels <= LABELS[name] | TARGET
    assert selectors(expression) or "up{" in expression


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_groups_by_labels_that_are_there(expression):
    there = TARGET | {"le"}.union(*(LABELS[name] for name, _ in selectors(expression)))
    grouped = {label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")}
    assert grouped <= there


def test_the_dashboard_shows_every_metric_of_a_collector():
    """It and the alerts leave none out that the docs have."""
    used = {name for expression in EXPRESSIONS for name, _ in selectors(expression)}
    assert set(LABELS) - used == {"config_last_reload_success_timestamp_seconds"}


def test_the_dashboard_has_panels_of_their_own_numbers_that_do_not_overlap():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_is_the_matter_and_what_to_do(rule):
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook"].endswith(".")


def test_the_states_in_the_rules_are_states():
    lists = [words for rule in RULES for words in re.findall(r'state=~"([^"]+)"', rule["expr"])]
    named = {word for words in lists for word in words.split("|")}
    assert named
    assert named <= set(get_args(State))


# With promtool: a day of a sound service, and of services of which one thing is the matter.

SERIES = {
    'up{job="evidently-collector"}': "1x1500",
    "disk_trouble": "0x1500",
    "refused_connections_total": "0x1500",
    "disk_free_bytes": "50x1500",
    "disk_size_bytes": "100x1500",
    'refused_requests_total{collector="main",reason="buffer_full"}': "0x1500",
    'refused_requests_total{collector="main",reason="bad_body"}': "0x1500",
    'accepted_requests_total{collector="main"}': "0+60x1500",
    'accepted_rows_total{collector="main"}': "0+600x1500",
    'skipped_rows_total{collector="main"}': "0x1500",
    'state{collector="main",state="waiting"}': "1x1500",
    'state{collector="main",state="misconfigured"}': "0x1500",
    'trigger_next_timestamp_seconds{collector="main"}': "60+60x1500",
    'undelivered_bytes{collector="main"}': "10x1500",
    'undelivered_limit_bytes{scope="collector"}': "100x1500",
    'undelivered_limit_bytes{scope="service"}': "1000x1500",
    'batches{collector="main",state="failed"}': "0x1500",
    'batches{collector="main",state="sealed"}': "0x1500",
    'damaged_files{kind="part"}': "0x1500",
    "config_last_reload_successful": "1x1500",
    "config_needs_restart": "0x1500",
    'alerts_waiting{address="https://hook.example/********"}': "0x1500",
    'worker_restarts_total{reason="died"}': "0x1500",
    'http_requests_total{route="/{id}/data",method="POST",status="201"}': "0+60x1500",
    'last_snapshot_tests{collector="main",outcome="passed"}': "3x1500",
    'last_snapshot_tests{collector="main",outcome="failed"}': "0x1500",
    'last_snapshot_drifted_ratio{collector="main"}': "0.1x1500",
    # A snapshot each 36 minutes, until noon.
    'metric_value{collector="main",metric="MAE",column="",label="mean"}': " ".join(["5x35 5.2x35"] * 10),
}
# The first value that differs says nothing of what is usual.
SECOND_SNAPSHOT = {'metric_value{collector="young",metric="MAE",column="",label="mean"}': "5x120 9x600"}
# Its events come to another service of its group since noon, which is no lack of them.
GONE_ELSEWHERE = {
    'accepted_rows_total{collector="main"}': "432000x780",
    'state{collector="main",state="standby"}': "1x780",
}
# By alert: what is otherwise from noon (a minute a value), and after how many minutes it fires, in steps of 5.
NOON = 720
MATTERS = {
    "Down": ({'up{job="evidently-collector"}': "0x780"}, 5),
    "DiskRefuses": ({"disk_trouble": "1x780"}, 5),
    "RefusesEvents": ({'refused_requests_total{collector="main",reason="buffer_full"}': "0+10x780"}, 15),
    "RefusesConnections": ({"refused_connections_total": "0+1x780"}, 15),
    "NotDelivering": ({'outbox_oldest_timestamp_seconds{collector="main"}': "43200x780"}, 75),
    "Stuck": ({'state{collector="main",state="misconfigured"}': "1x780"}, 15),
    "SkipsEvents": ({'skipped_rows_total{collector="main"}': "0+10x780"}, 5),
    "TriggerOverdue": ({'trigger_next_timestamp_seconds{collector="main"}': "43200x780"}, 20),
    "AlmostFull": ({'undelivered_bytes{collector="main"}': "90x780"}, 15),
    "RunsOutOfDisk": ({"disk_free_bytes": "24-0.05x780"}, 300),
    "BatchesFailed": ({'batches{collector="main",state="failed"}': "2x780"}, 15),
    "EvaluationBehind": ({'batches{collector="main",state="sealed"}': "11x780"}, 20),
    "BadEvents": ({'refused_requests_total{collector="main",reason="bad_body"}': "0+10x780"}, 40),
    "NoEvents": ({'accepted_rows_total{collector="main"}': "432000x780"}, 760),
    "DataDamaged": ({'damaged_files{kind="part"}': "1x780"}, 5),
    "ConfigRefused": ({"config_last_reload_successful": "0x780"}, 10),
    "NeedsRestart": ({"config_needs_restart": "1x780"}, 65),
    "AlertsUnsent": ({'alerts_waiting{address="https://hook.example/********"}': "2x780"}, 20),
    "WorkersDie": ({'worker_restarts_total{reason="died"}': "0+1x780"}, 30),
    "Bug": ({'http_requests_total{route="/",method="GET",status="500"}': "1x780"}, 5),
    "TestsFailed": ({'last_snapshot_tests{collector="main",outcome="failed"}': "1x780"}, 5),
    "Drift": ({'last_snapshot_drifted_ratio{collector="main"}': "0.5x780"}, 5),
    "KafkaNowhere": ({'state{collector="main",state="standby"}': "1x780"}, 10),
    "KafkaBehind": ({'kafka_consumer_lag{collector="main",topic="t",partition="0"}': "2000+10x780"}, 60),
    "KafkaConfigsDiffer": ({'kafka_config_mismatch{collector="main"}': "1x780"}, 20),
    "ValueJumped": ({'metric_value{collector="main",metric="MAE",column="",label="mean"}': "9x780"}, 5),
    "MissingValues": (
        {'metric_value{collector="main",metric="MissingValueCount",column="age",label="share"}': "0.2x780"},
        5,
    ),
}


def day_of(matter, minutes, alerts):
    """Make a unit test of promtool: the alerts that fire so many minutes after noon."""
    series = {name: values for name, values in SERIES.items() if name not in matter}
    for name, values in matter.items():
        sound = SERIES.get(name, "_x1500")
        series[name] = f"{sound.replace('1500', str(NOON - 1))} {values}"
    firing = [{"labels": f'{{alertname="EvidentlyCollector{alert}"}}', "value": 1} for alert in alerts]
    asked = 'count by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "interval": "1m",
        "input_series": [{"series": _on_an_instance(name), "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": asked, "eval_time": f"{NOON + minutes}m", "exp_samples": firing}],
    }


def _on_an_instance(name):
    name = name if name.startswith("up") else PREFIX + name
    return name.replace("{", '{instance="a",', 1) if "{" in name else name + '{instance="a"}'


def test_every_alert_has_a_matter_that_it_is_tested_with():
    assert [rule["alert"].removeprefix("EvidentlyCollector") for rule in RULES] == list(MATTERS)


@needs_promtool
def test_promtool_accepts_the_rules():
    done = subprocess.run(["promtool", "check", "rules", RULES_FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


@needs_promtool
def test_promtool_understands_the_dashboards_queries(tmp_path):
    queries = [query for query in dashboard_expressions() if not query.startswith("label_values")]
    plain = [query.replace("$__rate_interval", "5m") for query in queries]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(plain)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@needs_promtool
def test_each_alert_fires_alone_when_its_matter_lasts_and_none_on_a_calm_day(tmp_path):
    days = [
        day_of({}, 600, []),
        day_of(SECOND_SNAPSHOT, 125, []),
        day_of(GONE_ELSEWHERE, 760, ["KafkaNowhere"]),  # of one service, as if there were no other
        *(day_of(matter, minutes, [alert]) for alert, (matter, minutes) in MATTERS.items()),
    ]
    tests = {"rule_files": [str(RULES_FILE)], "evaluation_interval": "5m", "tests": days}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
