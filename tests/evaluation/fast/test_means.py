"""Means over time of frames whose rows are parted once."""

import evidently.legacy.calculations.data_drift as drift_module
import numpy as np
import pandas as pd
import pytest

from collector.evaluation.fast.known import standing_in
from collector.evaluation.fast.means import of_a_report

ROWS = {"one": 1, "few": 7, "as many as bins": 150, "more": 1234}
NAMES = ["a", "mean", "std", "per", "index", "level_0", "0", 0, ""]
INDEXES = {
    "counted": pd.RangeIndex,
    "named": lambda rows: pd.RangeIndex(rows, name="row"),
    "later": lambda rows: pd.RangeIndex(5, rows + 5),
    "backwards": lambda rows: pd.RangeIndex(rows)[::-1],
    "with gaps": lambda rows: pd.Index(np.arange(rows) * 3),
    "of times": lambda rows: pd.date_range("2026-03-01", periods=rows, freq="h"),
}


def outcome(prepare, *args):
    try:
        means, prefix = prepare(*args)
    except Exception as error:  # noqa: BLE001  # whatever Evidently raises is to be raised
        return f"{type(error).__name__}: {error}"
    return repr((means.to_dict("list"), means.dtypes.to_dict(), list(means), list(means.index), prefix))


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("index", INDEXES)
def test_means_over_time_are_evidentlys(rows, index):
    values = np.random.default_rng(1).normal(0, 1, (ROWS[rows], len(NAMES)))
    frame = pd.DataFrame(values, index=INDEXES[index](ROWS[rows]), columns=NAMES).mask(values > 2)
    direct = [outcome(drift_module.prepare_df_for_time_index_plot, frame, name, None) for name in NAMES]
    with standing_in([of_a_report()], []):
        assert [outcome(drift_module.prepare_df_for_time_index_plot, frame, name, None) for name in NAMES] == direct


def test_means_by_a_column_of_times_are_evidentlys():
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "at": pd.date_range("2026-03-01", periods=3, freq="h")})
    direct = outcome(drift_module.prepare_df_for_time_index_plot, frame, "a", "at")
    with standing_in([of_a_report()], []):
        assert outcome(drift_module.prepare_df_for_time_index_plot, frame, "a", "at") == direct
