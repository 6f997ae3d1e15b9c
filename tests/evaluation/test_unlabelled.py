import pandas as pd
import pytest

from collector.evaluation.unlabelled import without_unlabelled
from collector.formats.part_tables import Unreadable

ROWS = pd.DataFrame({"prediction": [1.0], "target": [2.0]})


def test_a_reference_that_lacks_a_column_of_labels_is_left_out_and_that_is_told(make_job):
    job = make_job({}, [], ROWS, label_columns=["target", "weight", "rank"])
    changed, [note] = without_unlabelled(job)
    assert changed == job | {"reference": None}
    assert "no column 'weight', 'rank':" in note


@pytest.mark.parametrize("columns", [None, [], ["target"]], ids=["no labels", "of no columns", "all there"])
def test_any_other_job_stays_as_it_is(make_job, columns):
    job = make_job({}, [], ROWS, label_columns=columns)
    assert without_unlabelled(job) == (job, ())


def test_without_a_reference_none_is_missed(make_job):
    job = make_job({}, [], label_columns=["target"])
    assert without_unlabelled(job) == (job, ())


def test_a_job_of_before_labels_has_none(make_job):
    job = make_job({}, [], ROWS)
    assert "label_columns" not in job
    assert without_unlabelled(job) == (job, ())


def test_a_damaged_reference_is_named(make_job, tmp_path):
    path = tmp_path / "spoiled.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(Unreadable, match=r"spoiled\.parquet"):
        without_unlabelled(make_job({}, []) | {"reference": str(path), "label_columns": ["target"]})
