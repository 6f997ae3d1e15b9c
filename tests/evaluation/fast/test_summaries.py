"""The summary of a kept reference, which is computed once."""

from pathlib import Path
from types import SimpleNamespace

import evidently.legacy.metrics.data_integrity.dataset_summary_metric as module
import numpy as np
import pandas as pd
import pytest
from evidently.legacy.pipeline.column_mapping import ColumnMapping

from collector.evaluation import cache, worker
from collector.evaluation.fast import summaries
from collector.evaluation.fast.columns import Ordered
from collector.evaluation.fast.known import standing_in
from collector.evaluation.fast.summaries import of_a_report

from .reports import UUID, mixed

pytestmark = pytest.mark.filterwarnings("ignore")
SUMMARY = {"metrics": ["DataSummaryPreset"]}
LEGACY_SUMMARY = {"metrics": ["evidently:metric_preset:DataQualityPreset"], "options": {}}


@pytest.fixture
def summed_up(monkeypatch):
    """The rows of what Evidently itself sums up."""
    rows, original = [], module.get_rows_count
    monkeypatch.setattr(summaries, "REFERENCES", cache.Warm())
    monkeypatch.setattr(module, "get_rows_count", lambda frame: rows.append(len(frame)) or original(frame))
    return rows


def summary(reference, shown=None, mapping=None, key="file", **thresholds):
    data = SimpleNamespace(
        current_data=mixed(20, 1),
        reference_data=reference if shown is None else shown,
        column_mapping=mapping or ColumnMapping(),
    )
    with standing_in([of_a_report(reference, key, Ordered())], notes := []):
        found = module.DatasetSummaryMetric(**thresholds).calculate(data)
    assert notes == []
    return found.json()


def test_a_kept_reference_is_summed_up_once(summed_up):
    reference = mixed(40, 2)
    told = {summary(reference, key=key) for key in ("file", "file", None)}
    assert (summed_up, len(told)) == ([20, 40, 20, 20, 40], 1)


@pytest.mark.parametrize(
    "others",
    [
        {"key": "another"},
        {"almost_constant_threshold": 0.6},
        {"almost_duplicated_threshold": 0.6},
        {"mapping": ColumnMapping(target="cat")},
        {"shown": mixed(30, 3)},
        {"shown": mixed(40, 2).rename(columns={"cat": "dog"})},
    ],
    ids=["file", "constant", "duplicated", "mapping", "rows", "name"],
)
def test_whatever_it_depends_on_has_it_summed_up_anew(summed_up, others):
    reference = mixed(40, 2)
    summary(reference)
    shown = others.get("shown", reference)
    assert summary(reference, **others) == summary(shown, **{**others, "key": None, "shown": None})
    assert summed_up[:4] == [20, 40, 20, len(shown)]


@pytest.mark.parametrize("config", [SUMMARY, LEGACY_SUMMARY], ids=["modern", "legacy"])
def test_the_second_snapshot_of_a_reference_is_evidentlys_to_the_letter(make_job, config, summed_up):
    job, texts = make_job(config, mixed(60, 1), mixed(50, 2), cache_reference=True), []
    for is_fast in (True, True, False):
        outcome = worker.evaluate({**job, "fast_reports": is_fast})
        assert outcome["ok"], outcome["traceback"]
        texts.append(UUID.sub("", Path(job["snapshot_path"]).read_text()))
    assert summed_up.count(50) == (2 if pd.__version__ >= "3" else 3)  # those before copy the reference for each report
    assert texts[0] == texts[1] == texts[2]


ROWS = 1_200
ONE_BY_ONE = np.random.default_rng(1).normal(0, 1, ROWS)
COLUMNS = {
    "distinct": ONE_BY_ONE,
    "nearly": np.where(np.arange(ROWS) == ROWS - 1, ONE_BY_ONE[0], ONE_BY_ONE),
    "zeros": np.where(np.arange(ROWS) < 2, [0.0, -0.0] * (ROWS // 2), ONE_BY_ONE),
    "missing": np.where(np.arange(ROWS) % 600 == 599, np.nan, ONE_BY_ONE),
    "few": np.arange(ROWS) % 7,
}


@pytest.mark.parametrize("names", [[one] for one in COLUMNS] + [["few", "nearly"], ["nearly", "zeros", "distinct"], []])
def test_rows_are_duplicated_where_pandas_says_so(names):
    frame = pd.DataFrame({name: COLUMNS[name] for name in names}, index=pd.RangeIndex(ROWS))
    rows = summaries._Rows(frame, copy=False)  # noqa: SLF001
    rows.ordered = Ordered()
    pd.testing.assert_series_equal(rows.duplicated(), frame.duplicated())
    pd.testing.assert_series_equal(rows.duplicated(keep="last"), frame.duplicated(keep="last"))
    assert type(rows[names]) is pd.DataFrame


def test_rows_of_distinct_numbers_are_not_compared(monkeypatch):
    monkeypatch.setattr(pd.DataFrame, "duplicated", None)
    rows = summaries._Rows(pd.DataFrame({"few": COLUMNS["few"], "distinct": COLUMNS["distinct"]}), copy=False)  # noqa: SLF001
    rows.ordered = Ordered()
    assert not rows.duplicated().any()
