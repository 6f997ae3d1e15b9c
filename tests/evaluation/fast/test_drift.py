"""Reports with drift that is computed once, against the same reports computed as Evidently does it."""

import evidently.legacy.calculations.data_drift as drift_module
import numpy as np
import pandas as pd
import pytest
from evidently import DataDefinition
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.metrics import ColumnDriftMetric
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_preset import DataDriftTestPreset
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.metrics import DriftedColumnsCount, ValueDrift
from evidently.presets import DataDriftPreset, DataSummaryPreset
from evidently.tests import lt

from collector.evaluation.fast.drift import of_a_report
from collector.evaluation.fast.known import standing_in

from . import reports

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 300


def sample_of(kind, seed):
    """Columns of a kind; those of the second seed have drifted, in part."""
    rng = np.random.default_rng(seed)
    numbers = pd.DataFrame({f"n{i}": rng.normal(i * seed, 1, ROWS) for i in range(3)})
    few = pd.DataFrame(
        {"i": rng.integers(0, 90, ROWS), "few": rng.integers(0, 4, ROWS), "flag": rng.random(ROWS) < 0.5}
    )
    labels = pd.DataFrame({f"c{i}": rng.choice(list("abcdef")[: i + seed], ROWS) for i in (2, 3)})
    words = [["good", "fine", "nice"], ["bad", "sad", "slow"]][seed - 1]
    text = pd.DataFrame({"t": [" ".join(rng.choice(words, 5)) + f" {number}" for number in range(ROWS)]})
    holes = numbers.mask(rng.random(numbers.shape) < 0.1)
    infinite = numbers.assign(n1=numbers["n1"].where(numbers.index > 5, np.inf))
    times = pd.DataFrame({"at": pd.date_range(f"2026-0{seed}-01", periods=ROWS, freq="h")})
    parts = {
        "numbers": [numbers, few],
        "labels": [labels, labels["c2"].astype("category").rename("k")],
        "text": [text, labels["c2"]],
        "holes": [holes, labels.mask(rng.random(labels.shape) < 0.1)],
        "infinite": [infinite],
        "mixed": [numbers, few, labels, times],
    }
    return pd.concat(parts[kind], axis=1)


def modern(metrics, kind, definition=None, **options):
    return reports.modern(metrics, sample_of(kind, 2), sample_of(kind, 1), definition, **options)


def legacy(make, kind, mapping=None):
    return reports.legacy(make, sample_of(kind, 2), sample_of(kind, 1), mapping)


def of_all_columns():
    return [DataDriftPreset(drift_share=0.3), ValueDrift(column="n1"), ValueDrift(column="n1", nbinsx=7)]


REPORTS = {
    **{kind: modern(lambda: [DataDriftPreset()], kind) for kind in ("numbers", "labels", "holes", "infinite")},
    "text": modern(lambda: [DataDriftPreset(text_method="abs_text_content_drift")], "text"),
    "mixed": modern(lambda: [DataDriftPreset()], "mixed"),
    "with tests": modern(lambda: [DataDriftPreset()], "mixed", include_tests=True),
    "own tests": modern(lambda: [ValueDrift(column="n1", tests=[lt(0.1)]), DriftedColumnsCount()], "numbers"),
    "presets": modern(lambda: [DataDriftPreset(), DataSummaryPreset()], "mixed", include_tests=True),
    "shares and bins": modern(of_all_columns, "holes"),
    "shares, bins, infinities": modern(of_all_columns, "infinite"),
    "two presets": modern(lambda: [DataDriftPreset(), DataDriftPreset(columns=["n1", "c2"], method="psi")], "mixed"),
    "methods": modern(
        lambda: [DataDriftPreset(cat_method="psi", num_method="ks", threshold=0.2, per_column_method={"n1": "psi"})],
        "mixed",
    ),
    "thresholds": modern(
        lambda: [DataDriftPreset(num_threshold=0.5, cat_threshold=0.01, per_column_threshold={"n1": 0.9})], "mixed"
    ),
    "definition": modern(
        lambda: [DataDriftPreset()],
        "numbers",
        DataDefinition(numerical_columns=["n0", "n1"], categorical_columns=["i"]),
    ),
    "legacy": legacy(lambda: LegacyReport([LegacyDataDriftPreset(), ColumnDriftMetric("n1")]), "mixed"),
    "legacy, raw data": legacy(
        lambda: LegacyReport([LegacyDataDriftPreset()], options={"render": {"raw_data": True}}), "numbers"
    ),
    "legacy, target": legacy(
        lambda: LegacyReport([LegacyDataDriftPreset(), LegacyDataDriftPreset(columns=["n1", "n2"])]),
        "mixed",
        ColumnMapping(target="few", target_names={0: "a", 1: "b", 2: "c", 3: "d"}, datetime="at"),
    ),
    "legacy, tests": legacy(lambda: LegacySuite([DataDriftTestPreset()]), "holes"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_to_the_last_digit_what_evidently_makes_of_it(name):
    assert not reports.assert_same(REPORTS[name]).startswith(("ValueError", "TypeError"))


def test_a_column_that_has_no_drift_raises_as_it_does_with_evidently():
    said = reports.assert_same(modern(lambda: [ValueDrift(column="at")], "mixed"))
    assert said.startswith("ValueError: Cannot calculate drift metric for column 'at' with type")


def test_a_columns_drift_is_computed_once(monkeypatch):
    tested = []
    get_stattest = drift_module.get_stattest
    monkeypatch.setattr(drift_module, "get_stattest", lambda *args: tested.append(args[0].name) or get_stattest(*args))
    with standing_in([of_a_report()], []):
        REPORTS["numbers"]()
    columns = set(sample_of("numbers", 1))
    assert (len(tested), set(tested)) == (len(columns), columns)


def test_a_test_that_draws_by_chance_draws_each_time(monkeypatch):
    tested = []
    get_stattest = drift_module.get_stattest
    monkeypatch.setattr(drift_module, "get_stattest", lambda *args: tested.append(args[0].name) or get_stattest(*args))
    with standing_in([of_a_report()], []):
        modern(lambda: [DataDriftPreset(columns=["n1"], method="empirical_mmd")], "numbers")()
    assert tested == ["n1"] * 3


def test_a_column_that_is_replaced_in_its_frame_is_computed_anew():
    current, reference = sample_of("numbers", 1), sample_of("numbers", 1)
    found = []
    original = drift_module.get_drift_for_columns
    with standing_in([of_a_report()], []):
        for shift in (0, 9):
            current["n1"] = current["n1"] + shift
            result = original(
                current_data=current,
                reference_data=reference,
                dataset_columns=drift_columns(["n1"]),
                data_drift_options=drift_module.DataDriftOptions(),
                columns=["n1"],
                agg_data=True,
            )
            found.append(result.number_of_drifted_columns)
    assert found == [0, 1]


def drift_columns(names):
    special = drift_module.DatasetColumns.__fields__["utility_columns"].type_()
    return drift_module.DatasetColumns(
        utility_columns=special,
        num_feature_names=names,
        cat_feature_names=[],
        text_feature_names=[],
        datetime_feature_names=[],
        target_names=None,
        task=None,
        target_type=None,
    )


def test_evidentlys_functions_are_put_back_though_a_report_fails():
    before = drift_module.get_one_column_drift
    with pytest.raises(ValueError, match="Unexpected feature type"), standing_in([of_a_report()], []):
        modern(lambda: [DataDriftPreset(columns=["gone"])], "numbers")()
    assert drift_module.get_one_column_drift is before
