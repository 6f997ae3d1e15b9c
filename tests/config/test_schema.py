"""What an editor is told of a config file: every field, every name of Evidently's, and what is wrong."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from collector.config.schema import file_schema

CONFIGS = sorted(path for path in Path("configs").glob("*.json") if "collectors" in json.loads(path.read_bytes()))
VALIDATOR = Draft202012Validator(file_schema())


def suggested(kind):
    return {one["const"]: one["description"] for one in file_schema()["$defs"][kind]["anyOf"] if "const" in one}


def mistakes(*metrics, tests=()):
    config = {"collectors": {"a": {"trigger": {"type": "RowsCountTrigger", "rows_count": 5}}}}
    config["collectors"]["a"] |= {"api_url": "w", "project_name": "p"}
    config["collectors"]["a"]["report_config"] = {"metrics": list(metrics), "tests": list(tests)}
    return [error.json_path for error in VALIDATOR.iter_errors(config)]


def test_it_is_a_schema():
    Draft202012Validator.check_schema(file_schema())


@pytest.mark.parametrize("path", CONFIGS, ids=[path.name for path in CONFIGS])
def test_the_configs_that_we_show_pass(path):
    assert list(VALIDATOR.iter_errors(json.loads(path.read_bytes()))) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("MetricName", "DataDriftPreset"),
        ("MetricName", "MissingValueCount"),
        ("MetricName", "ColumnDriftMetric"),
        ("LegacyTestName", "TestNumberOfRows"),
        ("DescriptorName", "TextLength"),
        ("StatTest", "wasserstein"),
    ],
)
def test_names_are_suggested_with_what_they_mean(kind, name):
    assert suggested(kind)[name].endswith((".", "columns", "numbers"))


def test_a_name_of_ones_own_passes_too():
    assert mistakes("evidently:metric_v2:MinValue", {"type": "mine.Metric", "column": "a"}) == []


def test_conditions_pass_and_what_is_wrong_in_them_does_not():
    def tested(*tests):
        return mistakes({"type": "MissingValueCount", "column": "age", "tests": list(tests)})

    assert tested({"lt": 3}, {"eq": {"reference": {"relative": 0.1}}, "is_critical": False}, {"is_in": [1, "a"]}) == []
    assert mistakes({"type": "F1ByLabel", "tests": {"yes": [{"gt": 0.5}]}}) == []
    for wrong in ({"lt": "3"}, {"lt": {"reference": {"relativ": 1}}}, {"is_in": 3}):
        assert tested(wrong) == ["$.collectors.a.report_config.metrics[0]"], wrong
