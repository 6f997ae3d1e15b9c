"""Means over time of frames whose rows are parted once."""

import evidently.legacy.calculations.data_drift as drift_module
import numpy as np
import pandas as pd
import pytest

from collector.evaluation.fast import means
from collector.evaluation.fast.columns import Side
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


@pytest.mark.parametrize("many", [0, 10**9], ids=["one by one", "at once"])
def test_means_of_columns_of_many_kinds_are_evidentlys(many, monkeypatch):
    monkeypatch.setattr(means, "_MANY", many)
    rng, rows = np.random.default_rng(3), 1_000
    numbers = {"a": rng.normal(1e9, 1, rows), "b": rng.integers(0, 10**15, rows), "c": rng.normal(0, 1e-300, rows)}
    others = {"small": rng.integers(0, 9, rows, "int8"), "yes": rng.random(rows) < 0.5, "text": list("ab") * 500}
    frame = pd.DataFrame(numbers | others | {"d": np.where(rng.random(rows) < 0.1, np.nan, 1.5), "e": np.inf})
    direct = [outcome(drift_module.prepare_df_for_time_index_plot, frame, name, None) for name in frame]
    with standing_in([of_a_report()], []):
        for given in (frame, Side(frame, "a")):
            assert [outcome(drift_module.prepare_df_for_time_index_plot, given, name, None) for name in frame] == direct
