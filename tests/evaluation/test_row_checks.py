"""What of ``where`` and ``segments`` doesn't fit a reference, at its place in the config."""

import pandas as pd
import pytest

from collector.evaluation import worker
from collector.evaluation.row_checks import problems_of

REFERENCE = pd.DataFrame({"country": ["de"] * 3 + ["fr"] * 2, "age": [10, 20, 30, 40, 50]})
SEGMENTS = {"column": "country", "values": None, "edges": None, "max": 20, "min_rows": 2}


@pytest.mark.parametrize(
    ("where", "segments", "path", "message"),
    [
        ({"ag": {"gt": 1}}, None, ["where", "ag"], "the reference has no column 'ag'; did you mean 'age'?"),
        ({"age": {"gt": "x"}}, None, ["where", "age", "gt"], "column 'age' holds integers, and 'x' isn't one of them"),
        ({"age": {"gt": 99}}, None, ["where"], "no row of the reference meets `where`"),
        (
            {},
            {"column": "city"},
            ["segments", "column"],
            "the reference has no column 'city'; known here: country, age",
        ),
        ({}, {"edges": [1.0]}, ["segments"], "edges divide numbers, and the reference has text there"),
        ({}, {"min_rows": 4}, ["segments", "min_rows"], "no segment has 4 rows in the reference"),
        ({"age": {"lt": 20}}, {}, ["segments", "min_rows"], "no segment has 2 rows in the reference"),
    ],
    ids=["column", "value", "rows", "segment column", "edges", "size", "both"],
)
def test_what_does_not_fit_is_told(where, segments, path, message):
    [problem] = problems_of(where, None if segments is None else SEGMENTS | segments, REFERENCE)
    assert problem["path"] == path
    assert problem["message"].startswith(message)


def test_what_fits_is_right(tmp_path):
    REFERENCE.to_parquet(tmp_path / "reference.parquet")
    assert worker.check_rows(str(tmp_path / "reference.parquet"), {"age": {"gte": 10}}, SEGMENTS, None) == []
