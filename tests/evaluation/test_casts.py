"""Casts of whole columns: what each rule makes of what came, and that no value is lost on the way."""

import datetime as dt
import re
import string

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.evaluation.casts import Casts, kind_of
from collector.evaluation.pandas_columns import UNIT, to_frame
from collector.formats.sources import CSV, JSON, LIST, TEXT, TYPED, marked

SOURCES = {"csv": CSV, "quoted": CSV | TEXT, "json": JSON, "typed": TYPED}
TIMES = pd.Series(pd.to_datetime(["2026-01-01", "2026-12-31"]))
REFERENCES = {
    "text": pd.Series(["x", "y"], dtype="str"),
    "codes": pd.Series(["7", "2139"], dtype="str"),
    "flags": pd.Series(["True", "False"], dtype="str"),
    "integers": pd.Series([1, 2]),
    "numbers": pd.Series([1.5, np.nan]),
    "booleans": pd.Series([True, False]),
    "times": TIMES,
    "categories": pd.Series(["x", "y"], dtype="category"),
    "categories of integers": pd.Series([1, 2], dtype="category"),
    "nothing": pd.Series([np.nan]),
    None: None,
}
NOON = dt.datetime(2026, 3, 1, 12)  # noqa: DTZ001  # naive, as frames have it
EPOCH = 1772366400  # of that noon


def done(values, reference, source="json", cast="untyped", pieces=None):
    """Cast a column whole, or looked at in pieces of so many values; return its values, its Arrow type and the note."""
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values)])
    table = marked(pa.table({"c": column}), SOURCES.get(source, source))
    frame = None if REFERENCES[reference] is None else pd.DataFrame({"c": REFERENCES[reference]})
    casts = Casts(frame, cast, keep_lists={"c"})
    for start in range(0, len(column), pieces or max(len(column), 1)):
        casts.look(table.slice(start, pieces), is_whole=pieces is None)
    table, notes = casts.cast(table)
    return table["c"].to_pylist(), table["c"].type, " ".join(notes)


@pytest.mark.parametrize(
    ("source", "values", "reference", "expected"),
    [
        # CSV that nothing is known of is what all of its values spell
        ("csv", ["1", "2"], None, [1, 2]),
        ("csv", ["1", "2"], "nothing", [1, 2]),
        ("csv", ["1", None, "3"], None, [1.0, None, 3.0]),
        ("csv", [" 1", "2.50", "1e3"], None, [1.0, 2.5, 1000.0]),
        ("csv", ["NaN", "1.5", "NaN"], None, [None, 1.5, None]),
        ("csv", ["true", "FALSE"], None, [True, False]),
        ("csv", ["2026-03-01T12:00", "2026-03-01 14:00:00+02:00"], None, [NOON, NOON]),
        # and keeps what has a reference of text
        *[
            ("csv", [code, "x"], "text", [code, "x"])
            for code in ("02139", "08:30", "1.10", "1e5", "+4915", "NA", "true", "2026-01-01", " x")
        ],
        ("csv", ["02139"], "categories", ["02139"]),
        ("csv", ["2139.0", "7.0"], "codes", ["2139", "7"]),
        ("csv", ["2139.0", "7.5"], "codes", ["2139.0", "7.5"]),
        ("csv", ["2139.0", "7.0"], "text", ["2139.0", "7.0"]),
        ("csv", ["true", "false"], "flags", ["True", "False"]),
        # Text
        ("json", ["3", "-4"], "integers", [3, -4]),
        ("csv", ["3", "-4"], "integers", [3, -4]),
        ("quoted", ["3", "-4"], "integers", [3, -4]),
        ("json", ["3.0", "4"], "integers", [3, 4]),
        ("json", ["9223372036854775807"], "integers", [2**63 - 1]),
        # a fraction among integers is a number, as it is where JSON has it as one
        ("csv", ["1.5", "2"], "integers", [1.5, 2.0]),
        ("json", ["1.5", "N/A", "2"], "integers", [1.5, None, 2.0]),
        ("csv", ["1.5", "2"], "categories of integers", ["1.5", "2"]),
        ("json", ["1.5", "N/A", "2", ""], "numbers", ["1.5", "N/A", "2", ""]),  # half of them
        ("json", ["1.5", "N/A", "2"], "numbers", [1.5, None, 2.0]),
        ("json", ["inf", "-Infinity", "1"], "numbers", [np.inf, -np.inf, 1.0]),
        ("json", ["true", "False", "TRUE"], "booleans", [True, False, True]),
        ("csv", ["0", "1"], "booleans", [False, True]),
        ("json", ["2026-03-01T12:00:00Z", "2026-03-01 12:00"], "times", [NOON, NOON]),
        ("csv", [str(EPOCH), str(EPOCH)], "times", [NOON, NOON]),
        ("csv", [f"{EPOCH}.5"], "times", [NOON.replace(microsecond=500_000)]),
        ("json", ["1", "2"], "categories of integers", [1, 2]),
        # Numbers
        ("json", [3.0, 4.0], "integers", [3, 4]),
        ("json", [3.0, None], "integers", [3.0, None]),
        ("json", [1, 2], "numbers", [1.0, 2.0]),
        ("json", [2139.0, 7.0, None], "text", ["2139", "7", None]),
        ("json", [2139.0, 7.5], "text", ["2139.0", "7.5"]),
        ("json", [1e16, 0.1], "text", ["1e+16", "0.1"]),
        ("json", [10, 20], "categories", ["10", "20"]),
        ("json", [1.0, 3.0], "categories of integers", [1, 3]),
        ("json", [0, 1], "booleans", [False, True]),
        ("json", [1.0, None], "booleans", [True, None]),
        ("json", [EPOCH], "times", [NOON]),
        ("json", [EPOCH * 1000, None], "times", [NOON, None]),
        ("json", [EPOCH * 10**6 + 1], "times", [NOON.replace(microsecond=1)]),
        ("json", [EPOCH + 0.123456], "times", [NOON.replace(microsecond=123_456)]),
        # Booleans
        ("json", [True, False], "integers", [1, 0]),
        ("json", [True, None], "numbers", [1.0, None]),
        ("json", [True, None], "text", ["true", None]),
        ("json", [10, None], "text", ["10", None]),
        ("json", [True, False], "flags", ["True", "False"]),
        # What has a type of its own
        ("typed", ["3"], "integers", ["3"]),
        ("typed", [1], "numbers", [1]),
        ("typed", [EPOCH], "times", [EPOCH]),
    ],
)
@pytest.mark.parametrize("pieces", [None, 1])
def test_what_came_becomes_what_the_reference_has(source, values, reference, expected, pieces):
    """Looked at whole or in pieces, as before a sample is drawn."""
    found = done(values, reference, source, pieces=pieces)[0]
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("source", "values", "reference", "told"),
    [
        ("csv", ["02139", "1"], None, ""),
        ("quoted", ["1", "2"], None, ""),
        ("csv", ["2026-02-30"], None, ""),
        ("csv", ["9223372036854775808"], None, ""),
        ("json", ["1", "2"], None, ""),
        (
            "json",
            ["007", "8"],
            "integers",
            "text and is integers in the reference: left as it came, as 1 of 2 values ('007')",
        ),
        ("csv", ["+49", "8"], "numbers", "1 of 2 values ('+49') can't be cast"),
        ("csv", ["08:30"], "times", "1 of 1 values ('08:30') can't be cast"),
        ("json", ["99999999999999999999"], "integers", "can't be cast"),
        ("json", ["9007199254740993"], "numbers", "can't be cast"),
        ("json", ["1e999"], "numbers", "can't be cast"),
        ("json", ["1_000", "1"], "integers", "'1_000'"),
        ("csv", ["true", "unknown"], "booleans", "1 of 2 values ('unknown') can't be cast"),
        ("json", ["2026-03-01", "yesterday"], "times", "1 of 2 values ('yesterday') can't be cast"),
        ("json", ["x"], "categories of integers", "is categories of integers in the reference"),
        (
            "json",
            [1.5],
            "integers",
            "came as numbers and is integers in the reference: left as it came, as 1 of 1 values (1.5)",
        ),
        ("json", [2**60 + 1], "numbers", "can't be cast"),
        ("json", [np.inf], "text", "can't be cast"),
        ("json", [2], "booleans", "1 of 1 values (2) can't be cast"),
        ("json", [12, 13], "times", "2 of 2 values (12, 13) can't be cast"),
        ("json", [NOON], "integers", "came as times and is integers in the reference"),
        (
            "typed",
            ["a", "b"],
            "integers",
            "came as text and is integers in the reference: left as it came; send that type, or",
        ),
        ("typed", [1, 2], "text", '"cast": "all" (2 values: 1, 2)'),
    ],
)
def test_what_would_be_lost_or_guessed_is_left_and_noted(source, values, reference, told):
    found, _, note = done(values, reference, source)
    assert found == values
    assert told in note
    assert bool(note) is bool(told)


@pytest.mark.parametrize(
    ("source", "values", "reference", "note"),
    [
        (
            "json",
            ["7", "9"],
            "integers",
            "Column 'c' came as text and was cast to integers, as in the reference (2 values: '7', '9').",
        ),
        (
            "csv",
            ["7", "-", "9"],
            "integers",
            (
                "Column 'c' came as text and was cast to integers, as in the reference, "
                "and 1 of 3 values ('-') was taken as missing."
            ),
        ),
        (
            "json",
            ["7", "N/A", "9.5"],
            None,
            (
                "Column 'c' is text, as it holds numbers and 1 of 3 values ('N/A'); with a reference of numbers those "
                "would be taken as missing."
            ),
        ),
        (
            "csv",
            ["1.5", "2"],
            "integers",
            (
                "Column 'c' came as text and is integers in the reference: read as numbers, as not all are whole "
                "(2 values: '1.5', '2')."
            ),
        ),
        ("json", [1, 2], "numbers", ""),
        ("json", [1.0], "integers", ""),
        ("csv", ["1"], "integers", ""),
        ("json", ["x"], "categories", ""),
        ("json", ["x", "N/A", "y"], None, ""),
    ],
)
def test_a_note_names_the_column_both_kinds_how_many_values_and_a_few_of_them(source, values, reference, note):
    assert done(values, reference, source)[2] == note


def test_examples_are_three_and_short():
    note = done(["x" * 100, "b", "b", "c", "d"], "integers")[2]
    assert f"5 of 5 values ('{'x' * 39}…, 'b', 'c')" in note


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("reference", [name for name in REFERENCES if name not in (None, "nothing")])
def test_a_column_without_values_has_the_references_type(source, reference):
    kind = pa.float64() if source == "typed" else pa.string()
    _, type_, note = done(pa.chunked_array([pa.nulls(3, kind)]), reference, source)
    column = to_frame(pa.table({"c": pa.nulls(3, type_)}))[0]["c"]
    wanted = REFERENCES[reference].dtype
    lacking = {"i": "f", "b": "O"}  # numpy's integers and booleans can't lack values
    assert note == ""
    assert column.dtype.kind == lacking.get(wanted.kind, wanted.kind)


def test_cast_all_casts_what_has_a_type_too_and_none_nothing():
    assert done(["3"], "integers", "typed", cast="all")[0] == [3]
    assert done(pa.chunked_array([pa.array(["3"]).dictionary_encode()]), "integers", "typed", cast="all")[0] == [3]
    assert done(["3"], "integers", "json", cast="none")[0] == ["3"]
    assert '"cast": "none"' in done(["3"], "integers", "json", cast="none")[2]
    assert done(["02139", "3"], "integers", "csv", cast="none")[0] == ["02139", "3"]
    assert done(["3"], "text", "csv", cast="none")[0] == [3]  # its spelling is all that CSV has


def test_numbers_that_are_times_in_two_units_are_left():
    """A reference that spans a hundred years makes 10^9 a time in seconds (2001) and in milliseconds (1970)."""
    wide = pd.DataFrame({"c": pd.to_datetime(["1960-01-01", "2060-01-01"])})
    casts = Casts(wide)
    table = marked(pa.table({"c": [10**9]}), JSON)
    casts.look(table, is_whole=True)
    assert casts.cast(table)[0]["c"].to_pylist() == [10**9]


def test_times_have_the_references_unit_and_without_one_pandas_own():
    for unit in ("s", "ms", "us", "ns"):
        reference = pd.DataFrame({"c": TIMES.astype(f"datetime64[{unit}]")})
        casts = Casts(reference)
        table = marked(pa.table({"c": ["2026-03-01T12:00:00"]}), JSON)
        casts.look(table, is_whole=True)
        assert casts.cast(table)[0]["c"].type == pa.timestamp(unit)
    assert done(["2026-03-01"], None, "csv")[1] == pa.timestamp(UNIT)


def test_a_category_has_its_own_values_only():
    """An unused category would be counted as a zero by Evidently."""
    _, type_, _ = done(["x", "new"], "categories")
    assert type_ == pa.dictionary(pa.int32(), pa.string())
    table = marked(pa.table({"c": ["x", "new"]}), JSON)
    casts = Casts(pd.DataFrame({"c": REFERENCES["categories"]}))
    casts.look(table, is_whole=True)
    assert list(to_frame(casts.cast(table)[0])[0]["c"].cat.categories) == ["new", "x"]


def test_lists_of_json_are_lists_where_they_are_wanted():
    assert done(['["a","b"]', None, "[]"], None, JSON | LIST)[0] == [["a", "b"], None, []]
    assert done(['["a"]', '["b"]'], None, JSON)[0] == ['["a"]', '["b"]']  # text that looks like it
    assert done(['["a"]', "b"], None, JSON | LIST)[0] == ['["a"]', "b"]
    assert done(['["a"]', "[1]"], None, JSON | LIST)[0] == ['["a"]', "[1]"]


CODES = ["02139", "NA", "08:30", "1.10", "1e5", "true", "unknown", "+49", "N/A", "2139", "0", "-1", "", "1_000", "inf"]
TEXTS = st.sampled_from(CODES) | st.text(string.printable, max_size=8)
COLUMNS = st.one_of(
    *(
        st.lists(st.none() | values, min_size=1, max_size=12)
        for values in (TEXTS, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans())
    )
)


def is_back(value, came, note, is_csv):
    """Tell whether a cast value is the one that came."""
    if value is None:
        return f"{came!r}" in note or "taken as missing" in note or came in ("NaN", "nan", "NAN")
    if not isinstance(came, str):
        return str(value).lower() == str(came).lower() or float(value) == float(came)
    if value == came or (is_csv and f"{value}.0" == came):
        return True
    came = came.strip(" \t") if is_csv else came
    if isinstance(value, str) or re.match(r"[-+]?0\d|\+", came):
        return value.lower() == came.lower() if isinstance(value, str) else False
    if isinstance(value, bool):
        return came.lower() == str(value).lower() or float(came) == value
    return float(came) == float(value)


@settings(max_examples=400)
@given(COLUMNS, st.sampled_from([name for name in REFERENCES if name != "times"]), st.sampled_from(["csv", "json"]))
@example(["1", "9007199254740993"], "numbers", "json")
@example(["-0"], "integers", "csv")
def test_every_value_comes_back(values, reference, source):
    is_csv = source == "csv" and all(value is None or isinstance(value, str) for value in values)
    found, type_, note = done(values, reference, source if is_csv else "json")
    for value, came in zip(found, values, strict=True):
        assert value is None if came is None else value == came or is_back(value, came, note, is_csv), (value, came)
    if found.count(None) > sum(value in (None, "NaN", "nan", "NAN") for value in values):
        assert "taken as missing" in note
    assert kind_of(type_) is not None or not any(value is not None for value in values)


@settings(max_examples=200)
@given(COLUMNS, st.sampled_from(list(REFERENCES)), st.sampled_from(list(SOURCES)), st.integers(1, 4))
def test_a_column_is_cast_alike_wherever_its_pieces_end(values, reference, source, pieces):
    if "csv" in SOURCES[source]:
        values = [None if value is None else str(value) for value in values]
    column = pa.chunked_array([pa.array(values)])
    whole, in_pieces = done(column, reference, source), done(column, reference, source, pieces=pieces)
    assert (str(whole[0]), whole[1]) == (str(in_pieces[0]), in_pieces[1])


@settings(max_examples=100)
@given(
    st.lists(st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2026, 12, 30)), min_size=1),  # noqa: DTZ001
    st.sampled_from(["iso", "s", "ms", "float"]),
    st.sampled_from(["json", "csv"]),
)
def test_times_come_back_to_the_microsecond(times, how, source):
    if how in ("s", "ms"):
        times = [time.replace(microsecond=0) for time in times]
    stamps = [pd.Timestamp(time).value for time in times]
    write = {
        "iso": lambda time, _: time.isoformat(),
        "s": lambda _, stamp: stamp // 10**9,
        "ms": lambda _, stamp: stamp // 10**6,
        "float": lambda _, stamp: stamp / 10**9,
    }[how]
    values = [write(time, stamp) for time, stamp in zip(times, stamps, strict=True)]
    found, type_, note = done(list(map(repr, values)) if source == "csv" and how != "iso" else values, "times", source)
    assert pa.types.is_timestamp(type_)
    assert bool(note) is (source == "json")
    assert all(abs((a - b).total_seconds()) <= 1e-6 for a, b in zip(found, times, strict=True))
