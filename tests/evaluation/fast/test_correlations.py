"""Drift without correlations, where no report shows them."""

import evidently.legacy.metrics.data_drift.dataset_drift_metric as counts
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.metric_preset import DataDriftPreset as LegacyDataDriftPreset
from evidently.legacy.options.data_drift import DataDriftOptions
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.utils.data_operations import process_columns

from collector.evaluation.fast.known import standing_in
from collector.evaluation.fast.taken import all_shortcuts, shortcuts_taken

from .reports import legacy, mixed, odd_pairs, text_of, with_holes

pytestmark = pytest.mark.filterwarnings("ignore")
PAIRS = odd_pairs(40)
NUMBERS = pd.DataFrame({"a": np.arange(40) / 7, "b": np.arange(40) % 7})
PROBABILITIES = pd.DataFrame({"x": np.arange(40) / 40, "y": 1 - np.arange(40) / 40, "z": np.arange(40) % 2})


def drifts(current, reference, mapping):
    """Return what a drift of all columns gives, but for correlations, or what it raises."""
    current, reference = current.copy(), reference.copy()
    try:
        done = counts.get_drift_for_columns(
            current_data=current,
            reference_data=reference,
            dataset_columns=process_columns(reference, mapping),
            data_drift_options=DataDriftOptions(),
            agg_data=True,
        )
    except Exception as error:  # noqa: BLE001  # whatever Evidently raises is to be raised
        return repr(error), []
    told = {name: one.dict() for name, one in done.drift_by_columns.items()}
    correlated = [side.pop("correlations") for one in told.values() for side in (one["current"], one["reference"])]
    return repr((told, current, reference)), correlated


GIVEN = {
    **{name: (*pair, ColumnMapping()) for name, pair in PAIRS.items() if name != "text"},
    "a target": (mixed(40, 1), mixed(40, 2), ColumnMapping(target="few", prediction="float")),
    "probabilities": (PROBABILITIES, PROBABILITIES[::-1], ColumnMapping(target="z", prediction=["x", "y"])),
    "text for numbers": (NUMBERS.astype(str), NUMBERS.astype(str), ColumnMapping(numerical_features=["a", "b"])),
    "booleans for numbers": (NUMBERS > 2, NUMBERS > 2, ColumnMapping(numerical_features=["a", "b"])),
    "no numbers": (mixed(40, 1)[["cat"]], mixed(40, 2)[["cat"]], ColumnMapping()),
    "one number": (NUMBERS[["a"]], NUMBERS[["a"]], ColumnMapping()),
    "a number with holes": (with_holes(NUMBERS, 1)[["a"]], NUMBERS[["a"]], ColumnMapping()),
}


@pytest.mark.parametrize("name", GIVEN)
def test_all_else_of_a_drift_is_evidentlys(name):
    direct, _ = drifts(*GIVEN[name])
    with standing_in(all_shortcuts(is_modern=True), []):
        ours, correlated = drifts(*GIVEN[name])
    assert ours == direct
    assert not any(correlated)


def test_a_legacy_snapshot_has_its_correlations():
    run = legacy(lambda: LegacyReport([LegacyDataDriftPreset()]), NUMBERS, NUMBERS)
    direct = text_of(run)
    assert '"correlations": {"a": 1.0' in direct
    with shortcuts_taken([], is_modern=False):
        assert text_of(run) == direct
