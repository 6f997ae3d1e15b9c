"""The metrics of a service that has seen everything, as Prometheus reads them."""

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.config import Limits
from collector.status.counts import (
    DELIVERIES,
    EVALUATIONS,
    KAFKA_REJECTIONS,
    LOGGED,
    REFUSALS,
    AlertCounts,
    Answered,
    Counts,
    GroupCounts,
    KafkaCounts,
    zeros,
)
from collector.status.status import ConfigState, ServiceStatus, State, Status
from collector.views.disk import Disk
from collector.views.families import DAMAGED_KINDS, PREFIX, Seen, families, write
from collector.workers.pool import ENDS

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "configs" / "metrics.md").read_text(encoding="utf-8")
SNAPSHOT = {
    "batch": "b",
    "rows": 7,
    "time": 90.0,
    "drift_share": 0.25,
    "drifted_columns": 1,
    "columns": 4,
    "tests": {"passed": 2, "failed": 1},
    "by_segment": {"names": ["de", "fr"], "skipped": ["other"], "bad": {"de": "1 of 2 tests failed"}},
}
BUSY = Status(
    "main",
    "undelivered",
    rows_waiting=3,
    rows_accepted=10,
    bytes_buffered=500,
    next_time=120.0,
    sealed=1,
    backfill=4,
    outbox=2,
    outbox_since=80.0,
    failed=4,
    last_snapshot=SNAPSHOT,
    reference={"from": "the first 500 rows", "rows": 500, "since": 20.0},
    labels={
        "waiting_batches": 2,
        "waiting_rows": 50,
        "labelled_rows": 40,
        "next_close": 130.0,
        "bytes": 900,
        "rows": {"used": 7, "late": 1},
    },
    logged={"halves": 6, **zeros(LOGGED), "kept": 5, "expired": 2},
    kafka={"lag": 12, "owner": "", "mismatch": "its config differs from the config here"},
)


def seen(*collectors, counts=None, disk=None, trouble="", **config):
    status = ServiceStatus("1.2", 0.0, 100.0, trouble, ConfigState("c.json", 50.0, **config), collectors)
    return Seen(status, counts or Counts(), Limits(), disk or Disk(), zeros(ENDS), "0.7.23")


def busy():
    """Make a service with a value for each metric."""
    counts = Counts()
    counts.answered[Answered("/{id}/data", "POST", 201)] = 5
    counts.answer_seconds["/{id}/data"].observe(0.02)
    mine = counts.of("main")
    mine.accepted_requests, mine.restarts = 5, 1
    mine.tests.update(SNAPSHOT["tests"])
    mine.lateness.observe(0.3)
    mine.exported = [{"metric": "MAE", "column": "age", "label": "mean", "value": 60.0}]
    mine.kafka = KafkaCounts({("t", 0): 5, ("t", 1): 7}, takeovers=2, dead_letters=3)
    mine.kafka.commits["fenced"] = 4
    mine.kafka.skipped_offsets = {("t", 0, 5): 20, ("t", 1, 0): 1}
    counts.group = GroupCounts(members=3, rebalances=6)
    counts.alerts["https://hook.example/********"] = AlertCounts(sent=3, failed=2, dropped=1, waiting=4)
    return replace(seen(BUSY, counts=counts, disk=Disk(10, 20, Counter(part=2))), dropped_keys={"main": 7.5, "gone": 1})


def samples(of):
    """Return what is scraped: values by name and labels, as they are written."""
    text, _ = write(of, "")
    found = [sample for family in text_string_to_metric_families(text.decode()) for sample in family.samples]
    return {(one.name.removeprefix(PREFIX), tuple(sorted(one.labels.values()))): one.value for one in found}


def documented():
    """Give type and labels of each metric in the docs' table."""
    rows = re.findall(r"^\| `(\w+)` \| (info|gauge|counter|histogram) \| ([^|]*) \|", DOCS, re.MULTILINE)
    return {name: (type_, set(re.findall(r"`(\w+)`", labels))) for name, type_, labels in rows}


def test_the_docs_have_every_metric_and_no_other():
    made = {}
    for family in families(busy()):
        name = family.name.removeprefix(PREFIX) + {"counter": "_total", "info": "_info"}.get(family.type, "")
        made[name] = (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
    assert documented() == made


@pytest.mark.parametrize("words", [REFUSALS, EVALUATIONS, DELIVERIES, KAFKA_REJECTIONS, LOGGED])
def test_the_docs_have_every_reason_and_outcome(words):
    assert ", ".join(f"`{word}`" for word in words) in DOCS


def test_values_are_those_of_the_status_and_the_counts():
    found = samples(busy())
    expected = {
        ("accepted_rows_total", ("main",)): 10,
        ("accepted_requests_total", ("main",)): 5,
        ("open_rows", ("main",)): 3,
        ("backfill_batches", ("main",)): 4,
        ("late_rows_total", ("main",)): 0,
        ("undelivered_bytes", ("main",)): 500,
        ("trigger_next_timestamp_seconds", ("main",)): 120,
        ("outbox_oldest_timestamp_seconds", ("main",)): 80,
        ("batches", ("main", "sealed")): 1,
        ("batches", ("evaluated", "main")): 2,
        ("batches", ("failed", "main")): 4,
        ("last_snapshot_timestamp_seconds", ("main",)): 90,
        ("last_snapshot_drifted_ratio", ("main",)): 0.25,
        ("last_snapshot_tests", ("failed", "main")): 1,
        ("tests_total", ("main", "passed")): 2,
        ("kafka_consumer_lag", ("1", "main", "t")): 7,
        ("kafka_config_mismatch", ("main",)): 1,
        ("kafka_members", ()): 3,
        ("kafka_owned_tasks", ()): 1,
        ("kafka_rebalances_total", ()): 6,
        ("kafka_skipped_offsets_total", ("main",)): 21,
        ("kafka_takeovers_total", ("main",)): 2,
        ("kafka_dead_letters_total", ("main",)): 3,
        ("kafka_commits_total", ("fenced", "main")): 4,
        ("kafka_commits_total", ("main", "ok")): 0,
        ("pipeline_restarts_total", ("main",)): 1,
        ("http_requests_total", ("/{id}/data", "201", "POST")): 5,
        ("idempotency_dropped_key_age_seconds", ("main",)): 7.5,
        ("damaged_files", ("part",)): 2,
        ("alerts_sent_total", ("https://hook.example/********",)): 3,
        ("alerts_failed_total", ("https://hook.example/********",)): 2,
        ("alerts_dropped_total", ("https://hook.example/********",)): 1,
        ("alerts_waiting", ("https://hook.example/********",)): 4,
        ("waiting_halves", ("main",)): 6,
        ("logged_total", ("kept", "main")): 5,
        ("logged_total", ("expired", "main")): 2,
        ("logged_total", ("main", "repeated")): 0,
        ("labels_waiting_rows", ("main",)): 50,
        ("labels_labelled_rows", ("main",)): 40,
        ("labels_next_close_timestamp_seconds", ("main",)): 130,
        ("labels_total", ("main", "used")): 7,
        ("disk_free_bytes", ()): 10,
        ("undelivered_limit_bytes", ("service",)): Limits().max_buffered_bytes,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_a_histogram_is_cumulative():
    found = samples(busy())
    late = {labels[0]: value for (name, labels), value in found.items() if name == "trigger_lateness_seconds_bucket"}
    assert (late["0.1"], late["0.5"], late["+Inf"]) == (0, 1, 1)
    assert found["trigger_lateness_seconds_sum", ("main",)] == 0.3


def test_versions_are_told():
    [build] = [family for family in families(busy()) if family.name == PREFIX + "build"]
    assert (build.samples[0].labels["version"], build.samples[0].labels["evidently_version"]) == ("1.2", "0.7.23")


@pytest.mark.parametrize("state", get_args(State))
def test_one_state_holds_at_a_time(state):
    found = samples(seen(replace(BUSY, state=state)))
    states = {labels: value for (name, labels), value in found.items() if name == "state"}
    assert len(states) == len(get_args(State))
    assert [set(labels) for labels, value in states.items() if value] == [{"main", state}]


@pytest.mark.parametrize(
    ("name", "changes", "values"),
    [
        ("disk_trouble", {"trouble": "full"}, (0, 1)),
        ("config_last_reload_successful", {"error": "line 3"}, (1, 0)),
        ("config_needs_restart", {"needs_restart": ("port",)}, (0, 1)),
    ],
)
def test_trouble_is_0_or_1(name, changes, values):
    assert (samples(seen())[name, ()], samples(seen(**changes))[name, ()]) == values


def test_what_is_not_known_has_no_value():
    found = {name for name, _ in samples(seen(Status("main", "waiting")))}
    assert found.isdisjoint({"trigger_next_timestamp_seconds", "outbox_oldest_timestamp_seconds", "disk_free_bytes"})
    assert not any(name.startswith("last_snapshot") for name in found)


def test_a_collector_that_is_gone_takes_its_series_with_it():
    counts = busy().counts
    text, _ = write(seen(counts=counts), "")
    assert 'collector="main"' not in text.decode()


def test_every_reason_and_outcome_is_there_from_the_start():
    found = samples(seen(Status("main", "waiting")))
    for name, words in (
        ("refused_requests_total", REFUSALS),
        ("evaluations_total", EVALUATIONS),
        ("deliveries_total", DELIVERIES),
    ):
        assert {word: found.get((name, tuple(sorted(("main", word))))) for word in words} == dict.fromkeys(words, 0)
    assert {labels[0] for name, labels in found if name == "damaged_files"} == set(DAMAGED_KINDS)


def test_an_id_of_any_characters_is_a_label():
    found = samples(seen(replace(BUSY, id='größe "x"\\n')))
    assert found["open_rows", ('größe "x"\\n',)] == 3


def test_openmetrics_is_for_who_accepts_it():
    plain, plain_type = write(busy(), "text/plain;version=0.0.4")
    fancy, fancy_type = write(busy(), "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert plain_type.startswith("text/plain; version=0.0.4")
    assert fancy_type.startswith("application/openmetrics-text; version=1.0.0")
    assert (fancy.endswith(b"# EOF\n"), b"# EOF" in plain) == (True, False)


def test_the_process_is_told_of_too():
    assert b"\nprocess_resident_memory_bytes " in write(seen(), "")[0]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool isn't installed (Debian: prometheus)")
def test_promtool_finds_nothing_to_say():
    text, _ = write(busy(), "")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
