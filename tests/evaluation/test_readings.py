"""The table of readings: each pair of kinds that has one."""

import pandas as pd
import pytest

from collector.evaluation.readings import readings_of
from collector.evaluation.wanted import Wanted

COLUMNS = {
    "text": pd.Series(["x"], dtype="str"),
    "integer": pd.Series([1]),
    "float": pd.Series([1.5]),
    "boolean": pd.Series([True]),
    "time": pd.Series(pd.to_datetime(["2026-01-01"])),
}
NONE = {("time", kind) for kind in COLUMNS} | {("boolean", "time")}  # a time stays one, and a boolean is none


@pytest.mark.parametrize("have", COLUMNS)
@pytest.mark.parametrize("wanted", COLUMNS)
def test_each_pair_of_kinds_has_readings_or_is_left(have, wanted):
    readings = readings_of(have, Wanted.of(COLUMNS[wanted]))
    assert bool(readings) is (have != wanted and (have, wanted) not in NONE)
