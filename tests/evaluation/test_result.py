from types import SimpleNamespace

from collector.evaluation.result import Drift, first_drift


def of_a_dataset(share, drifted, columns):
    counts = {"number_of_drifted_columns": drifted, "number_of_columns": columns}
    return SimpleNamespace(share_of_drifted_columns=share, **counts, dataset_drift=share >= 0.5)


def test_the_first_result_with_a_drift_counts():
    assert first_drift([object(), of_a_dataset(0.5, 2, 4), of_a_dataset(0, 0, 4)]) == Drift(0.5, 2, 4, True)


def test_without_one_nothing_is_told():
    assert first_drift([object()]) == Drift()
