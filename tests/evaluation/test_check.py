"""Problems, and the sound configs that get none."""

import inspect
import json
import math
import random

import evidently.metrics
import evidently.presets
import pandas as pd
import pytest
from evidently import Report
from evidently.cli.report import ReportConfig
from evidently.descriptors import Contains, Sentiment, TextLength
from evidently.generators import ColumnMetricGenerator
from evidently.legacy.descriptors import TextLength as LegacyTextLength
from evidently.legacy.metrics import ColumnSummaryMetric
from evidently.legacy.report import Report as LegacyReport
from evidently.metrics import CategoryCount, GroupBy, MeanValue, MinValue, MissingValueCount, ValueDrift
from evidently.presets import DataDriftPreset, DataSummaryPreset, RegressionPreset
from evidently.tests import Reference, eq, gt, is_in, lt

from collector.config import ReportConfig as OurReportConfig
from collector.evaluation.reader import Reader
from collector.evaluation.report import read_modern
from collector.evaluation.worker import check

from .conftest import LEGACY_DRIFT

LEGACY_REST = {"options": {}, "metadata": {}, "tags": []}
# What the constructors that need something need, beside columns, which are all "a".
ARGUMENTS = {
    "CategoryCount": {"category": "x"},
    "ClassificationQualityByLabel": {},
    "ColumnMetricGenerator": {"metric_type": MeanValue},
    "EmbeddingsDrift": {"embeddings_name": "e"},
    "GroupBy": {"metric": MeanValue(column="a"), "column_name": "b"},
    "InListValueCount": {"values": ["x"]},
    "OutListValueCount": {"values": ["x"]},
    "InRangeValueCount": {"left": 0, "right": 1},
    "OutRangeValueCount": {"left": 0, "right": 1},
    "QuantileValue": {"quantile": 0.5},
    "RegressionPreset": {},
    "RegressionQuality": {},
    "Diversity": {"item_features": ["b"]},
    "Serendipity": {"item_features": ["b"]},
}
GIVEN = {"column": "a", "column_name": "a", "k": 3, "distribution": "user", "user_ids": ["1"], "columns": ["a"]}
MEAN_STD_TESTS = ("mean_error_tests", "mape_tests", "mae_tests")


def constructed():
    for module in (evidently.metrics, evidently.presets):
        for name in module.__all__:
            cls = getattr(module, name)
            needed = [
                p.name for p in inspect.signature(cls).parameters.values() if p.default is p.empty and p.kind != 4
            ]
            arguments = {key: GIVEN.get(key) for key in needed} | ARGUMENTS.get(name, {})
            arguments |= {key: [] for key in needed if key in MEAN_STD_TESTS}
            yield pytest.param(cls, arguments, id=name)


@pytest.mark.parametrize(("cls", "arguments"), list(constructed()))
def test_what_evidently_dumps_of_its_own_metric_is_sound(cls, arguments):
    dumped = json.loads(cls(**arguments).json())
    assert check({"metrics": [dumped]}, None, None) == []


def test_a_whole_config_dumped_by_evidently_is_sound():
    """Tests, thresholds against the reference, generators, nested metrics and descriptors come back."""
    config = ReportConfig(
        descriptors=[
            TextLength("t", alias="length", tests=[gt(3)]),
            Sentiment("t", alias="mood"),
            Contains("t", ["a"]),
        ],
        metrics=[
            DataDriftPreset(drift_share=0.3, per_column_method={"a": "psi"}),
            DataSummaryPreset(columns=["a"]),
            RegressionPreset(mean_error_tests=[], mape_tests=[lt(1)], mae_tests=[]),
            MissingValueCount(column="a", tests=[eq(0)], share_tests=[lt(0.1)]),
            MeanValue(column="a", tests=[lt(Reference(relative=0.1)), gt(1, is_critical=False)]),
            CategoryCount(column="c", categories=["x", "y"], tests=[is_in([1, 2])]),
            ValueDrift(column="a", threshold=0.2),
            GroupBy(MeanValue(column="a"), "c"),
            ColumnMetricGenerator(MeanValue, columns=["a"]),
        ],
        metadata={"team": "risk"},
        tags=["nightly"],
        include_tests=True,
    )
    assert check(json.loads(config.json()), None, None) == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"metrics": []},
        {"metrics": [], "tests": [], "options": {}},
        {"metrics": ["DataDriftPreset", {"type": "ValueDrift", "column": "age"}]},
        {"metrics": [{"type": "evidently:metric_v2:MinValue", "column": "a"}, "RowCount"]},
        {
            "metrics": [
                {"type": "MinValue", "column": "a", "tests": [{"type": "GreaterThanMetricTest", "threshold": 3}]}
            ]
        },
        {"metrics": [{"type": "ColumnMetricGenerator", "metric_type": "ValueStats", "columns": ["a"]}]},
        {"metrics": [{"type": "InRangeValueCount", "column": "a", "left": -math.inf, "right": math.nan}]},
        {"metrics": ["TextEvals"], "descriptors": [{"type": "Sentiment", "column_name": "t", "alias": "s"}]},
        {"metrics": [], "options": [{"raw_data": True}]},
        {"metrics": ["DataDriftPreset"], "tests": ["DataStabilityTestPreset"], "options": {}},  # legacy's presets
        LEGACY_DRIFT,
    ],
)
def test_sound_configs_have_no_problem(config):
    assert check(config, None, None) == []


MISTAKES = [
    ([], [], "an object is expected"),
    ({"metricz": []}, ["metricz"], "unknown field; a report_config takes"),
    ({"metrics": "RowCount"}, ["metrics"], "a list is expected, not a string"),
    ({"metrics": [7]}, ["metrics", 0], "a name or an object"),
    ({"metrics": ["RowCount", "RowCont"]}, ["metrics", 1], 'did you mean "RowCount"?'),
    ({"metrics": ["os.path"]}, ["metrics", 0], "not allowed"),
    ({"metrics": ["MinValue"]}, ["metrics", 0, "column"], "field required"),
    ({"metrics": [{"type": "MinValue", "column": 5}]}, ["metrics", 0, "column"], "a string is expected"),
    ({"metrics": [{"type": "DataDriftPreset", "drft_share": 1}]}, ["metrics", 0, "drft_share"], '"drift_share"'),
    ({"metrics": [{"type": "DataDriftPreset", "drift_share": "x"}]}, ["metrics", 0, "drift_share"], "float"),
    ({"metrics": [{"type": "CategoryCount", "column": "a"}]}, ["metrics", 0], "at least one category"),
    (
        {"metrics": [{"type": "RowCount", "tests": [{"type": "LessThanMetricTest", "threshold": 1, "x": 2}]}]},
        ["metrics", 0, "tests", 0, "x"],
        "unknown field",
    ),
    (
        {"metrics": [{"type": "RowCount", "tests": [{"type": "evidently:test_v2:Nope"}]}]},
        ["metrics", 0, "tests", 0],
        'Unknown alias "evidently:test_v2:Nope"',
    ),
    (
        {"metrics": [{"type": "ColumnMetricGenerator", "metric_type": "MeanValu"}]},
        ["metrics", 0, "metric_type"],
        '"MeanValue"',
    ),
    (
        {"metrics": [{"type": "ColumnMetricGenerator", "metric_type": "MeanValue", "metric_kwargs": {"x": 1}}]},
        ["metrics", 0, "metric_kwargs", "x"],
        "unknown field",
    ),
    ({"descriptors": [{"type": "Sentiment", "column": "t"}]}, ["descriptors", 0, "column"], "unknown field"),
    ({"metadata": {"a": [{}]}}, ["metadata", "a"], "str type"),
    ({"tags": "x"}, ["tags"], "list"),
    ({"include_tests": "perhaps"}, ["include_tests"], "boolean"),
    ({"options": [{"nope": 1}]}, ["options", 0], "no option"),
    ({"metrics": [], "tests": []}, ["options"], "field required"),
    ({"metrics": [{"type": "evidently:metric:Nope"}]}, ["metrics", 0], 'Unknown alias "evidently:metric:Nope"'),
    ({"metrics": [], "tests": [], "options": []}, ["options"], "an object is expected"),
    ({"metrics": [], "options": {"rendr": None}}, ["options", "rendr"], '"render"'),
    (
        {"tests": [{"type": "evidently:test:TestColumnDrift", "column_name": {"nme": "f"}}], "options": {}},
        ["tests", 0, "column_name", "nme"],
        "unknown field",
    ),
]


@pytest.mark.parametrize(("config", "path", "message"), MISTAKES, ids=str)
def test_a_mistake_is_named_with_its_place(config, path, message):
    problems = check(config, None, None)
    assert any(one["path"] == ["report_config", *path] and message in one["message"] for one in problems), problems


def test_the_originals_answers_to_an_unknown_alias_and_to_missing_options():
    assert check({"metrics": [], "tests": []}, None, None) == [
        {"path": ["report_config", "options"], "message": "field required"}
    ]
    (problem,) = check({"metrics": [{"type": "evidently:metric:Nope"}], "options": {}}, None, None)
    assert problem["path"] == ["report_config", "metrics", 0]
    assert problem["message"].startswith('Unknown alias "evidently:metric:Nope"')


def test_each_generation_has_its_own_way_to_name_columns():
    assert check(LEGACY_DRIFT, {}, None)[0]["path"] == ["data_definition"]
    assert "column_mapping" in check(LEGACY_DRIFT, {}, None)[0]["message"]
    assert check({}, None, {})[0]["path"] == ["column_mapping"]
    assert "data_definition" in check({}, None, {})[0]["message"]
    assert check(LEGACY_DRIFT, None, {"target": "y"}) == check({}, {"id_column": "y"}, None) == []


def mutated(value, chance):
    """Return JSON like ``value`` with random parts replaced by random others."""
    if chance.random() < 0.15:
        return chance.choice([None, 5, "x", [], {}, [None], {"type": "x"}, {"type": 3}, True, math.nan, "a.b", "a:b"])
    if isinstance(value, dict):
        return {key: mutated(item, chance) for key, item in value.items()}
    return [mutated(item, chance) for item in value] if isinstance(value, list) else value


def test_no_json_makes_it_raise():
    chance = random.Random(1)
    definition = {
        "classification": [{"target": "a", "labels": {"0": "n"}}],
        "llm": {"input": "a"},
        "embeddings": {"e": []},
    }
    seeds = [config for config, *_ in MISTAKES] + [LEGACY_DRIFT]
    for _ in range(300):
        config = mutated(chance.choice(seeds), chance)
        problems = check(config, mutated(definition, chance), mutated({"target": "y", "embeddings": {}}, chance))
        assert all(one["message"] and isinstance(one["path"], list) for one in problems)
        json.dumps(problems)


def test_a_template_in_a_descriptors_function_is_read_by_its_bare_name():
    template = {"type": "BinaryClassificationPromptTemplate", "target_category": "good", "non_target_category": "bad"}
    judge = {"type": "LLMEval", "column_name": "answer", "provider": "openai", "model": "m", "template": template}
    assert check({"metrics": ["DataSummaryPreset"], "descriptors": [judge]}, None, None) == []


def test_generic_tests_in_what_from_report_makes_of_a_generator_are_read():
    generator = ColumnMetricGenerator(MinValue, columns=["age"], metric_kwargs={"tests": [lt(3)]})
    config = json.loads(OurReportConfig.from_report(Report([generator])).model_dump_json())
    assert check(config, None, None) == []
    assert (
        read_modern(config, Reader()).metrics[0].generate_metrics(None)[0].tests
        == MinValue(column="age", tests=[lt(3)]).tests
    )


def test_a_column_that_a_legacy_text_descriptor_computes_is_refused_with_the_way_out():
    metric = ColumnSummaryMetric(column_name=LegacyTextLength().on("answer"))
    report = LegacyReport([metric])
    report.run(current_data=pd.DataFrame({"answer": ["a", "bc"]}), reference_data=None)
    with pytest.raises(ValueError, match="'Text Length for answer' is computed by a legacy text descriptor"):
        OurReportConfig.from_report(report)
    saved = {"metrics": [json.loads(metric.json())], "tests": [], **LEGACY_REST}
    [problem] = check(saved, None, None)
    assert problem["path"] == ["report_config", "metrics", 0]
    assert "use a modern report with descriptors" in problem["message"]
