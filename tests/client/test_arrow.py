"""Tables of frames and of single events: the same types by both ways."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from collector.client import arrow as tables
from collector.client.arrow import ARROW, Rows, arrow_body, cut, table_of, table_of_events
from collector.formats.sources import JSON, TYPED, sent_as

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
VALUES = {
    "floats": [1.5, float("nan"), 3.0],
    "integers": [1, 2, 2**53 + 1],
    "integers and floats": [1, 2.5, 3],
    "text": ["a", "ÄÖ 漢字", ""],
    "booleans": [True, False, True],
    "zoned datetimes": [NOON, NOON + dt.timedelta(days=1), None],
    "days": [dt.date(2026, 3, 1), None, dt.date(2026, 3, 2)],
    "decimals": [decimal.Decimal("1.10"), decimal.Decimal("2.25"), None],
    "bytes": [b"a", b"", None],
    "lists": [[1, 2], [], None],
    "nothing": [None, None, None],
    "mixed": [1, "a", None],
    "booleans and integers": [True, 2, None],
    "too large for 64 bits": [2**70, 1, None],
    "half a surrogate pair": ["\ud800", "b", None],
}


@pytest.mark.parametrize("name", VALUES)
def test_events_have_the_types_of_a_frame_of_them(name):
    frame = table_of(pd.DataFrame({name: pd.Series(VALUES[name], dtype=object)}))
    assert table_of_events([{name: value} for value in VALUES[name]]).equals(frame)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([np.float32(1.5), np.float32(2)], pa.float32()),
        ([np.int64(1), 2], pa.int64()),
        ([pd.Timestamp("2026-03-01"), pd.NaT], pa.timestamp("us")),
        ([1, pd.NA], pa.int64()),
    ],
)
def test_values_of_numpy_and_pandas_are_known(values, type_):
    column = table_of_events([{"a": value} for value in values])["a"]
    assert column.type == type_
    assert column.null_count == sum(map(pd.isna, values))


def test_sparse_columns_of_a_frame_keep_their_numbers():
    """As ``pd.get_dummies(sparse=True)`` makes them: they went as text."""
    frame = pd.DataFrame(
        {"n": pd.arrays.SparseArray([0, 0, 1]), "x": pd.arrays.SparseArray([0.5, np.nan, 1]), "b": [True, False, True]}
    ).astype({"b": pd.SparseDtype(bool)})
    assert table_of(frame).to_pydict() == {"n": [0, 0, 1], "x": [0.5, None, 1.0], "b": [True, False, True]}


def test_a_column_that_an_event_lacks_is_missing_there():
    table = table_of_events([{"a": 1, "b": "x"}, {"b": "y", "a": 2}, {"a": 3, "c": True}, {"c": False}])
    assert table.to_pydict() == {"a": [1, 2, 3, None], "b": ["x", "y", None, None], "c": [None, None, True, False]}


def test_columns_whose_names_are_one_as_text_are_refused():
    with pytest.raises(ValueError, match="'1' is there twice"):
        table_of_events([{1: 0, "1": 0}])


def test_a_body_is_the_table():
    table = table_of_events([{"a": 1}])
    assert pa.ipc.open_stream(arrow_body(table)).read_all().equals(table)
    assert ARROW == "application/vnd.apache.arrow.stream"


def test_a_large_table_is_several_pieces(monkeypatch):
    monkeypatch.setattr(tables, "MAX_REQUEST_BYTES", 80)  # ten 64-bit integers
    assert [piece.rows for piece in cut(pa.table({"n": range(25)}))] == [10, 10, 5]


def test_halves_of_a_table_have_its_types_and_of_a_dictionary_only_what_they_need():
    colours = pd.Categorical(["red", None, "blue", "blue"], ["green", "blue", "red"], ordered=True)
    table = table_of(pd.DataFrame({"n": [1, 2, 3, 4], "colour": colours}))
    first, second = Rows(table).halves()
    assert first.table.schema == second.table.schema == table.schema
    assert (first.table["colour"].to_pylist(), second.table["colour"].to_pylist()) == (["red", None], ["blue"] * 2)
    assert second.table["colour"].chunk(0).dictionary.to_pylist() == ["blue"]


@pytest.mark.parametrize(
    ("text", "sent"), [("cut \ud83d", "cut \ufffd"), ("\ud83d\ude00", "\N{GRINNING FACE}"), ("ÄÖ 漢字", "ÄÖ 漢字")]
)
def test_half_a_surrogate_pair_goes_as_the_replacement_character(text, sent):
    """As JavaScript leaves one that cuts a text in the midst of an emoji; in a name, too."""
    assert table_of_events([{text: text}, {text: "b"}]).to_pydict() == {sent: [sent, "b"]}
    assert table_of(pd.DataFrame({"q": pd.Series([text, "b"], dtype=object)})).to_pydict() == {"q": [sent, "b"]}


def test_events_say_that_their_types_are_those_of_plain_values():
    """A frame's were chosen by whoever made it."""
    assert sent_as(table_of_events([{"n": 1}]).schema) == JSON
    assert sent_as(table_of(pd.DataFrame({"n": [1]})).schema) == TYPED
