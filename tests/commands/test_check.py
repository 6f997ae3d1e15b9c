from contextlib import asynccontextmanager

import pytest
import trio

from collector.commands import check as checking
from collector.commands.check import check_config
from collector.config import CollectorServiceConfig
from collector.errors import Problem

COLLECTOR = {
    "trigger": {"type": "RowsCountTrigger", "rows_count": 5},
    "report_config": {"metrics": ["DataDriftPreset"]},
    "project_name": "p",
}


class FakeWorkers:
    """Finds what a test says, by the collector's id or the reference's path."""

    def __init__(self, found):
        self._found = found

    async def check(self, config):
        await trio.lowlevel.checkpoint()
        return [Problem(("report_config",), text) for text in self._found.get(config.id, [])]

    async def check_table(self, path, field):
        await trio.lowlevel.checkpoint()
        return [Problem(field, text) for text in self._found.get(path, [])]

    async def check_address(self, address):
        await trio.lowlevel.checkpoint()
        return [Problem(("reference_path",), text) for text in self._found.get(address, [])]

    async def generations_in(self, directory):
        await trio.lowlevel.checkpoint()
        return self._found.get(directory, set())

    async def rehearse(self, job, *, is_aside):  # noqa: ARG002  (as in Workers)
        assert not is_aside, "a second process has to load Evidently"
        await trio.lowlevel.checkpoint()
        return {"failed": self._found.get("failed", []), "left_out": self._found.get("left out", [])}


@pytest.fixture
def found(monkeypatch):
    """Let a test say what is found."""
    found = {}

    @asynccontextmanager
    async def open_fakes(count, _max_bytes, _shown):
        assert count == 1
        yield FakeWorkers(found)

    monkeypatch.setattr(checking, "open_workers", open_fakes)
    return found


def config_of(**collectors):
    return CollectorServiceConfig.parse({"collectors": {key: COLLECTOR | more for key, more in collectors.items()}})


def test_a_sound_config_has_no_problems(found, tmp_path):
    assert check_config(config_of(a={}, b={}), tmp_path).problems == []


def test_all_problems_of_all_collectors_are_told_with_their_place(found, tmp_path):
    found.update({"a": ["one", "two"], "b": ["three"]})
    assert [str(problem) for problem in check_config(config_of(a={}, b={}), tmp_path).problems] == [
        "collectors.a.report_config: one",
        "collectors.a.report_config: two",
        "collectors.b.report_config: three",
    ]


def test_a_reference_is_looked_for_beside_the_config(found, tmp_path):
    found[tmp_path / "reference.parquet"] = ["no such file"]
    assert [
        str(problem)
        for problem in check_config(config_of(a={"reference_path": "reference.parquet"}), tmp_path).problems
    ] == ["collectors.a.reference_path: no such file"]


def test_a_path_that_a_client_may_not_name_is_told_before_the_service_runs_into_it(found, tmp_path):
    config = config_of(a={"is_posted": True, "reference_path": "/elsewhere/reference.parquet"})
    (told,) = check_config(config, tmp_path).problems
    assert str(told).startswith("collectors.a.reference_path: /elsewhere/reference.parquet lies outside")


def test_a_legacy_and_a_modern_collector_on_one_directory_are_told(found, tmp_path):
    legacy = {"metrics": [], "tests": [{"type": "evidently:test:X"}], "options": {}, "metadata": {}, "tags": []}
    both = {"modern": COLLECTOR, "legacy": COLLECTOR | {"report_config": legacy}}
    config = CollectorServiceConfig.parse(
        {"collectors": {key: one | {"api_url": "workspace"} for key, one in both.items()}}
    )
    told = [str(problem) for problem in check_config(config, tmp_path).problems]
    assert any("collectors.legacy.api_url" in one and "give this collector another directory" in one for one in told)


def test_a_reference_in_a_store_is_opened_and_not_tried(found, tmp_path):
    config = config_of(a={"reference_path": "s3://bucket/a.parquet"})
    findings = check_config(config, tmp_path)
    assert (findings.problems, findings.untried) == (
        [],
        ["a: its report was not tried, as its reference is in a store"],
    )
    found["s3://bucket/a.parquet"] = ["s3://bucket/a.parquet can't be read: no such bucket"]
    [problem] = check_config(config, tmp_path).problems
    assert str(problem).startswith("collectors.a.reference_path: s3://bucket/a.parquet can't be read")


def test_segments_may_be_of_a_reference_that_is_not_there_yet(found, tmp_path):
    segments = {"column": "country"}
    assert len(check_config(config_of(a={"segments": segments}), tmp_path).problems) == 1
    made = {"segments": segments, "reference_from": {"first_rows": 10}}
    assert check_config(config_of(a=made), tmp_path).problems == []


def test_what_a_report_cannot_compute_of_its_own_reference_is_told(found, tmp_path):
    found |= {"failed": ["ValueDrift of 'agee' could not be computed"], "left out": ["NegativityLLMEval was not tried"]}
    findings = check_config(config_of(a={"reference_path": "r.parquet"}), tmp_path)
    assert list(map(str, findings.problems)) == [
        "collectors.a.report_config: computed over its own reference: ValueDrift of 'agee' could not be computed"
    ]
    assert findings.untried == ["a: NegativityLLMEval was not tried"]


def test_the_report_of_labels_is_tried_too(found, tmp_path):
    """check said "all good" of a labels report that asked for a column which nobody has."""
    found |= {"failed": ["no 'agee'"]}
    labels = {"key": "id", "columns": ["y"], "report_config": {"metrics": ["ClassificationPreset"]}}
    told = map(str, check_config(config_of(a={"reference_path": "r.parquet", "labels": labels}), tmp_path).problems)
    assert [one.partition(": ")[2] for one in told] == [
        "computed over its own reference: no 'agee'",
        "the labels' report: computed over its own reference: no 'agee'",
    ]


def test_a_report_without_a_reference_is_said_not_to_have_been_tried(found, tmp_path):
    assert check_config(config_of(a={}), tmp_path).untried == [
        "a: its report was not tried, as there is no reference to try it on"
    ]


def test_alerts_are_checked_too(found, tmp_path, monkeypatch):
    monkeypatch.setattr("collector.alerts.by_apprise.problem_of", lambda _: "is none")
    config = config_of(main={"reference_path": None})
    rules = [{"when": "drift", "to": ["slack://token"], "collectors": ["other"]}]
    config = CollectorServiceConfig.parse(config.model_dump() | {"alerts": rules})
    findings = check_config(config, tmp_path)
    assert [(problem.key, problem.message) for problem in findings.problems] == [("alerts.0.to.0", "is none")]
    assert "alerts.0 matches no collector: it has other" in findings.untried
