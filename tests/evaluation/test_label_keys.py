import json

import pandas as pd
import pytest
from evidently import DataDefinition, MulticlassClassification, Report
from evidently.generators import ColumnMetricGenerator
from evidently.metrics import F1ByLabel, UniqueValueCount
from evidently.tests import gt, lt

from collector.config import ReportConfig
from collector.evaluation.definition import read_column_mapping, read_data_definition
from collector.evaluation.label_keys import with_label_keys, with_label_names, with_target_names
from collector.evaluation.reader import Reader
from collector.evaluation.report import read_modern

FRAME = pd.DataFrame({"paid": [True, False], "grade": [1, 2], "zip": ["1", "02"], "target": [0, 1]})


def read_back(metric):
    """Return a metric after its way through a config file."""
    config = json.loads(ReportConfig.from_report(Report([metric])).model_dump_json())
    reader = Reader()
    read = read_modern(config, reader).metrics
    assert not reader.problems
    return with_label_keys(read, [FRAME], ["target"])[0]


@pytest.mark.parametrize(
    "metric",
    [
        UniqueValueCount(column="paid", tests={True: [lt(3)], False: [gt(0)]}),
        UniqueValueCount(column="grade", tests={1: [lt(3)]}, share_tests={2: [lt(0.5)]}),
        UniqueValueCount(column="zip", tests={"1": [lt(3)], "02": [lt(3)]}),
        UniqueValueCount(column="grade", tests={3: [lt(1)]}),
        F1ByLabel(tests={1: [gt(0.5)]}),
    ],
    ids=["booleans", "integers", "text", "a label that the batch lacks", "labels of the target"],
)
def test_a_test_by_label_is_the_same_after_json(metric):
    read = read_back(metric)
    assert read.tests == metric.tests
    assert list(map(type, read.tests)) == list(map(type, metric.tests))
    assert read.get_fingerprint() == metric.get_fingerprint()


def test_the_labels_of_generated_metrics_are_typed_as_their_columns():
    generator = ColumnMetricGenerator(UniqueValueCount, columns=["paid"], metric_kwargs={"tests": {True: [lt(3)]}})
    assert list(read_back(generator).metric_kwargs["tests"]) == [True]


def test_metrics_without_tests_by_label_stay_the_same_objects():
    metrics = [UniqueValueCount(column="paid")]
    assert with_label_keys(metrics, [FRAME], [])[0] is metrics[0]


@pytest.mark.parametrize("names", [{"1": "one", "02": "two"}, {"1": "one", "3": "a label that the batch lacks"}])
def test_the_labels_of_text_are_named_as_text_after_json(names):
    """Evidently looks each label up among the names, and "1" is not 1."""
    task = MulticlassClassification(target="zip", prediction_labels="zip", labels=names)
    assert labels_after_json(task) == names


@pytest.mark.parametrize(
    ("target", "names"), [("grade", {1: "one", 2: "two"}), ("paid", {True: "yes", False: "no"}), ("gone", {1: "one"})]
)
def test_other_labels_are_named_as_they_are_after_json(target, names):
    named = labels_after_json(MulticlassClassification(target=target, prediction_labels="zip", labels=names))
    assert named == names
    assert list(map(type, named)) == list(map(type, names))


def labels_after_json(task):
    """Return the names of a classification's labels after their way through a config file."""
    reader = Reader()
    read = read_data_definition(json.loads(DataDefinition(classification=[task]).json()), reader, [])
    assert not reader.problems
    return with_label_names(read, [FRAME]).classification[0].labels


@pytest.mark.parametrize(
    ("target", "names"), [("zip", {"1": "a"}), ("grade", {1: "a"}), ("paid", {True: "a"}), ("zip", ["1", "02"])]
)
def test_a_legacy_targets_names_are_what_they_were_after_json(target, names):
    reader = Reader()
    read = read_column_mapping(json.loads(json.dumps({"target": target, "target_names": names})), reader, [])
    assert not reader.problems
    assert repr(with_target_names(read, [FRAME]).target_names).lower() == repr(names).lower()


def test_a_definition_without_names_of_labels_stays_the_same_object():
    definition = DataDefinition(classification=[MulticlassClassification(target="zip", prediction_labels="zip")])
    assert with_label_names(definition, [FRAME]) is definition
