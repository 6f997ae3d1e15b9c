"""Which generation a report_config is for; tests/evaluation compares the rule with Evidently's own classes."""

import pytest

from collector.generation import generation_of


@pytest.mark.parametrize(
    "config",
    [
        {"metrics": [], "tests": []},
        {"metrics": [], "options": {}},
        {"metrics": [{"type": "evidently:metric:DatasetDriftMetric"}]},
        {"metrics": [{"type": "evidently:metric_preset:DataDriftPreset"}]},
        {"metrics": [{"type": "evidently.metrics.DatasetDriftMetric"}]},
        {"metrics": ["evidently.metric_preset.DataDriftPreset"]},
        {"metrics": ["MinValue", "evidently.legacy.metrics.DatasetDriftMetric"]},
    ],
)
def test_what_only_0_6_had_is_legacy(config):
    assert generation_of(config) == "legacy"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"metrics": "garbage", "options": []},
        {"metrics": [None, 3, {"type": 5}, {}]},
        {"metrics": ["DataDriftPreset", {"type": "ValueDrift", "column": "age"}]},
        {"metrics": [{"type": "evidently:metric_v2:MinValue"}]},
        {"metrics": [{"type": "evidently.metrics.MinValue"}, "evidently.metrics.PopularityBiasMetric"]},
        {"metrics": [{"type": "evidently.metrics.column_statistics.MinValue"}]},
    ],
)
def test_all_else_is_modern(config):
    assert generation_of(config) == "modern"
