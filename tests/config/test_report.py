import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from collector.config import ReportConfig
from collector.config.report import MAX_ITEMS
from collector.errors import ConfigError

LEGACY = {"metrics": [], "tests": [], "options": {}, "metadata": {}, "tags": []}


@pytest.fixture(scope="module")
def evidently():
    """Both generations of Evidently, and a small frame; the import costs seconds and warns, which is Evidently's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import evidently
        import evidently.legacy.metric_preset as legacy_presets
        import evidently.legacy.test_preset as legacy_tests
        from evidently import metrics, presets
        from evidently.legacy.report import Report as LegacyReport
        from evidently.legacy.test_suite import TestSuite
    return SimpleNamespace(
        Report=evidently.Report,
        LegacyReport=LegacyReport,
        TestSuite=TestSuite,
        DataDriftPreset=presets.DataDriftPreset,
        ValueDrift=metrics.ValueDrift,
        MinValue=metrics.MinValue,
        LegacyDrift=legacy_presets.DataDriftPreset,
        LegacyDriftTests=legacy_tests.DataDriftTestPreset,
        frame=pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0)[::-1]}),
    )


def _run(suite, evidently):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite.run(reference_data=evidently.frame, current_data=evidently.frame)
    return suite


def test_a_modern_report_need_not_have_been_run(evidently):
    report = evidently.Report([evidently.DataDriftPreset(), evidently.ValueDrift(column="a")], tags=["t"])
    config = ReportConfig.from_report(report)
    assert [metric["type"] for metric in config.metrics] == [
        "evidently:metric_container:DataDriftPreset",
        "evidently:metric_v2:ValueDrift",
    ]
    assert (config.metrics[1]["column"], config.tags, config.generation) == ("a", ["t"], "modern")


def test_a_modern_reports_settings_are_kept(evidently):
    report = evidently.Report([evidently.MinValue(column="a")], metadata={"k": 1}, include_tests=True)
    config = ReportConfig.from_report(report)
    assert (config.metadata, config.include_tests) == ({"k": 1}, True)


def test_a_legacy_report_gives_the_metrics_that_its_presets_made(evidently):
    report = evidently.LegacyReport([evidently.LegacyDrift()], tags=["t"], metadata={"k": "v"})
    config = ReportConfig.from_report(_run(report, evidently))
    assert [metric["type"] for metric in config.metrics] == [
        "evidently:metric:DatasetDriftMetric",
        "evidently:metric:DataDriftTable",
    ]
    assert (config.generation, config.tests, config.tags) == ("legacy", [], ["t"])
    assert config.metadata == {"k": "v", "metric_presets": ["DataDriftPreset"]}  # the second is Evidently's own


def test_a_legacy_test_suite_gives_the_tests_that_its_presets_made(evidently):
    config = ReportConfig.from_test_suite(_run(evidently.TestSuite([evidently.LegacyDriftTests()]), evidently))
    assert [test["type"] for test in config.tests] == [
        "evidently:test:TestShareOfDriftedColumns",
        "evidently:test:TestColumnDrift",
        "evidently:test:TestColumnDrift",
    ]
    assert (config.generation, config.metrics) == ("legacy", [])


@pytest.mark.parametrize("make", ["from_report", "from_test_suite"])
def test_a_legacy_suite_must_have_been_run(evidently, make):
    suite = evidently.LegacyReport([evidently.LegacyDrift()])
    suite = evidently.TestSuite([evidently.LegacyDriftTests()]) if make == "from_test_suite" else suite
    with pytest.raises(ValueError, match="run it first"):
        getattr(ReportConfig, make)(suite)


def test_each_maker_says_what_it_takes(evidently):
    with pytest.raises(TypeError, match="takes a Report, not str; for a TestSuite there is from_test_suite"):
        ReportConfig.from_report("no report")
    with pytest.raises(TypeError, match="takes a TestSuite, not Report; for a Report there is from_report"):
        ReportConfig.from_test_suite(evidently.Report([evidently.DataDriftPreset()]))


def test_a_legacy_test_suite_is_no_report(evidently):
    suite = _run(evidently.TestSuite([evidently.LegacyDriftTests()]), evidently)
    with pytest.raises((TypeError, ValueError), match="from_test_suite"):
        ReportConfig.from_report(suite)


def test_what_was_made_of_a_report_comes_back_from_its_file(evidently, tmp_path):
    for report in (
        evidently.Report([evidently.DataDriftPreset()]),
        _run(evidently.LegacyReport([evidently.LegacyDrift()]), evidently),
    ):
        config = ReportConfig.from_report(report)
        config.save(tmp_path / "report.json")
        assert ReportConfig.load(tmp_path / "report.json") == config


@pytest.mark.parametrize(
    ("data", "generation"),
    [
        ({"metrics": ["DataDriftPreset", {"type": "ValueDrift", "column": "age"}]}, "modern"),
        ({"metrics": [{"type": "evidently:metric_v2:MinValue", "column": "a"}], "options": []}, "modern"),
        ({"descriptors": [{"type": "TextLength"}], "metrics": ["TextEvals"]}, "modern"),
        ({}, "modern"),
        (LEGACY, "legacy"),
        (LEGACY | {"metrics": [{"type": "evidently:metric:DatasetDriftMetric"}]}, "legacy"),
        (LEGACY | {"tests": [{"type": "evidently:test:TestNumberOfRows"}]}, "legacy"),
        (LEGACY | {"metrics": [{"type": "evidently.metrics.DatasetDriftMetric"}]}, "legacy"),
        (LEGACY | {"metrics": [{"type": "evidently.legacy.metrics.DatasetDriftMetric"}]}, "legacy"),
    ],
)
def test_all_forms_are_told_apart_and_written_as_they_were_given(data, generation):
    config = ReportConfig.parse(data)
    assert (config.generation, config.model_dump()) == (generation, data)


@pytest.mark.parametrize("field", ["metrics", "tests", "descriptors"])
def test_there_may_not_be_more_than_can_be_looked_at(field):
    whole = {"metrics": [], "tests": [], "options": {}, "metadata": {}, "tags": []}
    with pytest.raises(ConfigError, match=f"{field}: List should have at most {MAX_ITEMS} items"):
        ReportConfig.parse(whole | {field: [{"type": "RowCount"}] * (MAX_ITEMS + 1)})


@pytest.mark.parametrize("missing", ["metrics", "options", "metadata", "tags"])
def test_a_legacy_report_needs_what_the_original_required(missing):
    """The original's answer to it stands in compat/http/B_create_get.json."""
    data = {key: value for key, value in LEGACY.items() if key != missing}
    with pytest.raises(ConfigError, match=f"^{missing}: field required$"):
        ReportConfig.parse(data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"metircs": []}, "metircs: unknown field; did you mean 'metrics'?"),
        ({"metrics": "DataDriftPreset"}, "metrics: must be a valid list"),
        ({"metrics": [], "tags": [None]}, "tags.0: must be a valid string"),
        ({"metrics": [], "metadata": []}, "metadata: must be an object, not a list"),
        ("DataDriftPreset", "must be an object, not a string"),
    ],
)
def test_a_wrong_form_is_refused_with_its_path(data, told):
    with pytest.raises(ConfigError) as caught:
        ReportConfig.parse(data)
    assert str(caught.value) == told
