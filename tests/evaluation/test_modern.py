import json

import numpy as np
import pandas as pd
import pytest

from collector.evaluation import modern
from collector.evaluation.prepared import Frames
from collector.evaluation.reader import Reader
from collector.evaluation.report import read_modern

pytestmark = pytest.mark.filterwarnings("ignore")
FRAME = pd.DataFrame({"n": range(40), "t": ["word"] * 40})


@pytest.fixture
def run(make_job):
    def evaluated(config, reference=None, **others):
        job = make_job(config, FRAME, **others)
        return modern.run(read_modern(config, Reader()), Frames(FRAME, reference, [], len(FRAME)), None, job)

    return evaluated


def test_metadata_that_is_no_text_is_spelled_out(run):
    """Evidently takes lists, and then the UI can't list the project."""
    body = run({"metrics": ["RowCount"], "metadata": {"stages": ["a", "b"], "team": "x"}}).body
    assert (json.loads(body["metadata"]["stages"]), body["metadata"]["team"]) == (["a", "b"], "x")


def test_drift_is_told_where_it_is_computed(run):
    assert run({"metrics": ["RowCount"]}).drift.columns is None
    assert run({"metrics": ["DriftedColumnsCount"]}, FRAME).drift.columns == 2


def test_a_descriptor_that_raises_on_both_sides_is_told_once(run):
    config = {"metrics": ["RowCount"], "descriptors": [{"type": "TextLength", "column_name": "none", "alias": "n"}]}
    [failure] = run(config, FRAME).failures
    assert str(failure) == "TextLength of 'none' could not be computed: the batch has no column 'none'"


def test_datasets_are_described_if_they_are_to_be_saved(run):
    uploads = run({"metrics": ["RowCount"]}, FRAME, save_datasets=True).uploads
    assert [(one.role, one.name) for one in uploads] == [("current", "main"), ("reference", "main: reference")]


@pytest.mark.skipif(not modern._SHARES, reason="only pandas 3 copies values when they are written to")  # noqa: SLF001
def test_a_dataset_shares_the_values_of_its_frame_until_it_writes_to_them():
    frame = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    report = read_modern({"metrics": ["RowCount"]}, Reader())
    made = modern._side(frame, "batch", report, None).dataset.as_dataframe()  # noqa: SLF001
    assert np.shares_memory(made["a"], frame["a"])
    made.loc[0, "a"] = 9.0
    made["c"] = 1
    assert frame.to_dict("list") == {"a": [1.5, 2.5], "b": ["x", "y"]}
