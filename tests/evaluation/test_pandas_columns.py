import datetime as dt
import decimal
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from collector.evaluation import pandas_columns
from collector.evaluation.pandas_columns import UNIT, to_frame

NOON = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001  # naive, as frames have it
ZONE = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("values", "kind", "dtype", "expected"),
    [
        ([1, 2], pa.uint8(), "int64", [1, 2]),
        ([1, None], pa.int64(), "float64", [1.0, None]),
        ([2**63], pa.uint64(), "float64", [float(2**63)]),
        ([1.5, None], pa.float32(), "float64", [1.5, None]),
        ([True, False], pa.bool_(), "bool", [True, False]),
        ([True, None], pa.bool_(), "category", [True, None]),
        (["x", None], pa.string(), "text", ["x", None]),
        (["x", None], pa.large_string(), "text", ["x", None]),
        (["x", "y", None], pa.dictionary(pa.int8(), pa.string()), "category", ["x", "y", None]),
        ([NOON, None], pa.timestamp("ns"), "datetime64[ns]", [NOON, None]),
        ([NOON.replace(hour=14, tzinfo=ZONE)], pa.timestamp("ms", "Europe/Helsinki"), "datetime64[ms]", [NOON]),
        ([NOON.date()], pa.date32(), f"datetime64[{UNIT}]", [NOON.replace(hour=0)]),
        ([None, None], pa.null(), "float64", [None, None]),
        ([decimal.Decimal("1.25"), None], pa.decimal128(5, 2), "float64", [1.25, None]),
        ([dt.timedelta(seconds=90), None], pa.duration("ms"), "float64", [90.0, None]),
        ([dt.time(10, 30)], pa.time64("us"), "text", ["10:30:00.000000"]),
        ([b"\x01\xff"], pa.binary(), "text", ["01ff"]),
        ([[1, 2], None], pa.list_(pa.int64()), "text", ["[1,2]", None]),
        ([{"a": 1}], pa.struct([("a", pa.int64())]), "text", ['{"a":1}']),
    ],
    ids=str,
)
def test_every_arrow_type_becomes_one_that_evidently_knows(values, kind, dtype, expected):
    column = to_frame(pa.table({"c": pa.array(values, kind)}))[0]["c"]
    assert column.dtype.name in (("str", "object") if dtype == "text" else (dtype,))  # by pandas' version
    assert [None if pd.isna(value) else value for value in column] == expected
    assert not any(value is None for value in column)  # NaN and NaT are: Evidently sorts labels


def test_what_changed_its_kind_is_said():
    table = pa.table({"d": pa.array([decimal.Decimal(1)]), "l": pa.array([[1]]), "n": pa.array([1])})
    assert [note.split(":")[-1] for note in to_frame(table)[1]] == [
        " taken as floating-point numbers.",
        " taken as JSON text.",
    ]


def test_lists_that_a_report_asks_for_stay_lists():
    frame, notes = to_frame(pa.table({"l": pa.array([["a"], None])}), keep_lists={"l"})
    assert (list(frame["l"]), notes) == ([["a"], None], [])


def test_the_index_is_fresh():
    frame = to_frame(pa.Table.from_pandas(pd.DataFrame({"a": [1.0, np.nan]}, index=["x", "y"])))[0]
    assert list(frame.index) == [0, 1]


def test_categories_are_as_pandas_has_them_unused_ordered_and_integers_beside_a_missing_one():
    kind = pd.CategoricalDtype([3, 1, 2], ordered=True)
    column = pa.array(pd.Series([1, None, 3], dtype=kind), from_pandas=True)
    assert to_frame(pa.table({"c": column}))[0]["c"].dtype == kind
    assert list(to_frame(pa.table({"c": column}))[0]["c"].cat.codes) == [1, -1, 0]


def test_a_uuid_is_the_text_that_json_has():
    """It stood there within quotes, and drifted from a reference that came as JSON."""
    column = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(15) + b"\x05", None], pa.binary(16)))
    assert to_frame(pa.table({"id": column}))[0]["id"].dropna().tolist() == ["00000000-0000-0000-0000-000000000005"]


def test_a_large_table_is_freed_column_by_column(monkeypatch):
    """Beside its frame it would be as large again."""
    monkeypatch.setattr(pandas_columns, "_MANY", 1_000)
    held, convert = [], pandas_columns.to_series
    monkeypatch.setattr(
        pandas_columns, "to_series", lambda column: held.append(pa.total_allocated_bytes()) or convert(column)
    )
    rows = 100_000
    only = [pa.table({name: pa.array(range(rows)) for name in "abcd"})]
    frame, _ = to_frame(only.pop())
    assert [before - after >= 8 * rows for before, after in itertools.pairwise(held)] == [True] * 3
    frame["a"] += 1  # not Arrow's memory, which can't be written to
    assert frame.iloc[-1].tolist() == [rows, rows - 1, rows - 1, rows - 1]
