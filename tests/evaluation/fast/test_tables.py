"""The drift of a table, which is computed once in one report."""

import evidently.legacy.metrics.data_drift.data_drift_table as list_of_columns
import evidently.legacy.metrics.data_drift.dataset_drift_metric as counts
import pytest
from evidently.legacy.calculations import data_drift
from evidently.legacy.calculations.data_drift import DataDriftOptions
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.utils.data_operations import process_columns

from collector.evaluation.fast import tables
from collector.evaluation.fast.drift import is_computed_alike
from collector.evaluation.fast.known import standing_in
from collector.evaluation.fast.tables import of_a_report

from .reports import mixed

CURRENT, REFERENCE = mixed(40, 1, 0.3), mixed(40, 2)


@pytest.fixture
def computed(monkeypatch):
    """What Evidently itself computes, by column."""
    computed, original = [], data_drift.get_one_column_drift
    monkeypatch.setattr(
        data_drift,
        "get_one_column_drift",
        lambda **given: computed.append(given["column_name"]) or original(**given),
    )
    return computed


def drift_of(module, options=None, current=CURRENT, **given):
    return module.get_drift_for_columns(
        current_data=current,
        reference_data=REFERENCE,
        dataset_columns=process_columns(REFERENCE, ColumnMapping()),
        data_drift_options=options or DataDriftOptions(),
        columns=["float", "cat"],
        agg_data=True,
        **given,
    )


def test_it_is_computed_once_for_its_counts_and_for_the_list_of_columns(computed):
    with standing_in([of_a_report()], []):
        first = drift_of(counts, drift_share_threshold=0.5)
        assert drift_of(list_of_columns) is first
        assert computed == ["float", "cat"]


@pytest.mark.parametrize(
    "other",
    [
        {"options": DataDriftOptions(all_features_threshold=0.9)},
        {"options": DataDriftOptions(per_feature_stattest={"float": "psi"})},
        {"drift_share_threshold": 0.1},
        {"current": CURRENT.copy()},
    ],
    ids=["threshold", "test", "share", "frame"],
)
def test_it_is_computed_anew_where_anything_differs(other, computed):
    with standing_in([of_a_report()], []):
        drift_of(counts)
        found = drift_of(list_of_columns, **other)
    assert len(computed) == 4
    direct = drift_of(list_of_columns, **other)
    assert (found.dataset_drift, found.options) == (direct.dataset_drift, direct.options)


def test_it_is_computed_anew_once_a_column_is_replaced(computed):
    current = CURRENT.copy()
    with standing_in([of_a_report()], []):
        drift_of(counts, current=current)
        current["float"] = current["float"] + 9
        assert drift_of(counts, current=current).number_of_drifted_columns == 1
    assert len(computed) == 4


def test_what_a_test_draws_by_chance_is_computed_each_time():
    tests = [None, "psi", {"float": "ks"}, "empirical_mmd", {"float": "empirical_mmd"}, len]
    assert [is_computed_alike(one) for one in tests] == [True, True, True, False, False, False]
    assert tables._key({"data_drift_options": DataDriftOptions(all_features_stattest="empirical_mmd")}) is None  # noqa: SLF001
