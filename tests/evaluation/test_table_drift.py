# ruff: noqa: SLF001  # where Evidently keeps its results
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.metrics import DataDriftTable, DatasetDriftMetric
from evidently.legacy.report import Report

from collector.evaluation.table_drift import TableDrift, over_computable_columns

pytestmark = pytest.mark.filterwarnings("ignore")
FRAME = pd.DataFrame({"a": np.arange(60) / 7, "b": np.arange(60) / 3, "c": ["x", "y", "z"] * 20})


def drift_of(current, reference, **options):
    report = Report([DatasetDriftMetric(**options), DataDriftTable(**options)])
    report.run(current_data=current, reference_data=reference)
    return list(report._inner_suite.context.metric_results.values())


def test_a_table_without_trouble_lacks_nothing():
    with over_computable_columns() as drift:
        results = drift_of(FRAME, FRAME)
        assert [drift.missing_from(result) for result in results] == [{}, {}]
    assert [result.number_of_columns for result in results] == [3, 3]


def test_a_column_that_raises_is_left_out_and_told():
    with over_computable_columns() as drift:
        results = drift_of(FRAME.assign(a=np.nan), FRAME)
        lacks = [drift.missing_from(result) for result in results]
    assert [list(one) for one in lacks] == [["a"], ["a"]]
    assert lacks[0]["a"].startswith("column 'a' has no finite value in the batch (ValueError: ")
    alone = drift_of(FRAME[["b", "c"]], FRAME[["b", "c"]])
    assert results[0].dict() == alone[0].dict()
    assert list(results[1].drift_by_columns) == list(alone[1].drift_by_columns)


def test_a_column_with_nothing_to_be_compared_with_is_no_column_of_a_tables_drift():
    with over_computable_columns() as drift:
        [count, _] = drift_of(FRAME, FRAME.assign(a=np.nan))
        assert (count.number_of_columns, drift.missing_from(count)) == (2, {})


def test_a_column_that_is_named_is_missed_wherever_it_lacks():
    with over_computable_columns() as drift:
        [count, _] = drift_of(FRAME, FRAME.assign(a=np.nan), columns=["a", "b"])
        assert (count.number_of_columns, list(drift.missing_from(count))) == (1, ["a"])


def test_a_table_of_which_nothing_can_be_computed_raises_as_before():
    with over_computable_columns():
        results = drift_of(FRAME[["a"]].assign(a=np.nan), FRAME[["a"]])
    assert "An empty column 'a'" in str(results[0].exception)


@pytest.mark.parametrize("order", ["abcde", "cabed", "ecbad"])
def test_columns_that_can_only_be_computed_apart_cost_those_of_another_type(order):
    """As booleans beside floats do on pandas 2.2: Evidently correlates the numbers of a table."""
    frame = pd.DataFrame({name: np.arange(4.0) for name in order})
    typed = frame.astype({"c": bool, "d": bool})
    asked = []

    def original(*, columns, **_):
        asked.append(columns)
        if len(columns) > 1 and {"c", "d"} & {*columns}:
            raise AttributeError("'float' object has no attribute 'shape'")
        return columns

    drift = TableDrift()
    computed = drift.over_the_rest(original, lambda columns: columns)
    given = {"dataset_columns": list(order), "current_data": typed, "reference_data": frame}
    result = drift.remembering(lambda *_: computed(**given))(None, None)
    assert result == [name for name in order if name in "abe"]
    assert drift.missing_from(result) == dict.fromkeys("cd", "AttributeError: 'float' object has no attribute 'shape'")


def test_evidently_is_as_before_afterwards():
    before = DatasetDriftMetric.calculate
    with over_computable_columns():
        assert DatasetDriftMetric.calculate is not before
    assert DatasetDriftMetric.calculate is before
    assert "An empty column 'a'" in str(drift_of(FRAME.assign(a=np.nan), FRAME)[0].exception)
