import json

import pandas as pd
import pytest
from evidently import Report
from evidently.generators import ColumnMetricGenerator
from evidently.metrics import F1ByLabel, UniqueValueCount
from evidently.tests import gt, lt

from collector.config import ReportConfig
from collector.evaluation.label_keys import with_label_keys
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
