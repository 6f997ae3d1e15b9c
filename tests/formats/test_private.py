"""Private columns: dropped or hashed, alike from every format."""

import csv
import hashlib
import hmac
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from bodies import arrow, parquet

from collector.errors import BadBody
from collector.formats.bounds import Bounds
from collector.formats.frames import check_frame, decode_frames
from collector.formats.private import apply, without_private

SALT = "pepper"


def private(*drop, keep=None, **salts):
    return {"keep": keep, "drop": list(drop), "hash": salts}


def expected(text):
    """Hash as the docs say."""
    return "hmac:" + hmac.new(SALT.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def read(format_, body):
    check_frame(format_, body)
    return decode_frames([(format_, body)])


def as_json(rows):
    return json.dumps(rows).encode()


def as_lines(rows):
    return b"\n".join(json.dumps(row).encode() for row in rows)


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


ROWS = [
    {"id": 7, "email": "ann@x.example", "age": 41},
    {"id": 12, "email": None, "age": 37},
    {"id": 7, "email": "bob@x.example", "age": 41},
]
TABLE = pa.Table.from_pylist(ROWS)
BODIES = {
    "json": as_json(ROWS),
    "ndjson": as_lines(ROWS),
    "csv": as_csv(ROWS),
    "arrow": arrow(TABLE),
    "parquet": parquet(TABLE),
}


@pytest.mark.parametrize("format_", BODIES)
def test_a_column_is_hashed_alike_and_another_dropped_in_every_format(format_):
    became, body = without_private(format_, BODIES[format_], private("age", id=SALT, email=SALT))
    for raw in (b"ann@x", b"bob@x", b"41", b"age"):
        assert raw not in body
    table = read(became, body)
    assert table["id"].to_pylist() == [expected("7"), expected("12"), expected("7")]
    assert table["email"].to_pylist() == [expected("ann@x.example"), None, expected("bob@x.example")]


@pytest.mark.parametrize("format_", BODIES)
def test_what_is_left_is_as_it_would_be_without_private_columns(format_):
    """Types and marks too: only that its column isn't there differs."""
    became, body = without_private(format_, BODIES[format_], private("email"))
    assert read(became, body).equals(read(format_, BODIES[format_]).drop_columns(["email"]), check_metadata=True)
    kept, body = without_private(format_, BODIES[format_], private(keep=["age"]))
    assert read(kept, body).column_names == ["age"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1], "1"),
        ([1.0], "1"),
        (["1"], "1"),
        (["007"], "007"),
        ([0.5], "0.5"),
        ([True], "true"),
        ([""], ""),
        ([1e300], "1e+300"),
        (["Zoë"], "Zoë"),
        ([[1, 2]], "[1,2]"),
        (["3F2504E0-4F89-11D3-9A0C-0305E82C3301"], "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
    ],
    ids=str,
)
def test_a_value_of_json_is_hashed_by_its_canonical_text(values, text):
    _, body = without_private("json", json.dumps({"id": values}).encode(), private(id=SALT))
    assert json.loads(body) == {"id": [expected(text)]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pa.scalar(1, pa.int8()), "1"),
        (pa.scalar(2**63, pa.uint64()), str(2**63)),
        (pa.scalar(Decimal("1.50")), "1.5"),
        (pa.scalar(b"abc"), "abc"),
        (pa.scalar("a", pa.string_view()), "a"),
        (pa.scalar("a", pa.dictionary(pa.int8(), pa.string())), "a"),
        (pa.scalar(datetime(2024, 5, 1, 12, 30, tzinfo=UTC)), "2024-05-01T12:30:00Z"),
        (pa.scalar([1, 2]), "[1,2]"),
    ],
    ids=str,
)
def test_a_value_that_knows_its_type_is_hashed_by_its_canonical_text(value, text):
    table = pa.table({"id": pa.array([value.as_py(), None], value.type)})
    assert apply(table, private(id=SALT))["id"].to_pylist() == [expected(text), None]


@pytest.mark.parametrize("value", ["", [1], 1e300, None], ids=str)
def test_what_is_no_key_is_refused_before_it_has_a_hash(value):
    body = json.dumps({"id": ["ann", value]}).encode()
    for format_, one in (("json", body), ("arrow", arrow(pa.table({"id": pa.array([value, value])})))):
        with pytest.raises(BadBody, match=r"the key 'id' (of row [01] is a value, which can't be a key|is list)"):
            without_private(format_, one, private(id=SALT), Bounds(key="id"))


def test_missing_values_stay_missing():
    body = b'{"id": [null, NaN, "a"], "other": [null, null, null], "x": [1, 2, 3]}'
    _, body = without_private("json", body, private(id=SALT, other=SALT))
    assert json.loads(body) == {"id": [None, None, expected("a")], "other": [None] * 3, "x": [1, 2, 3]}


def test_values_of_several_kinds_in_a_column_are_all_hashed():
    body = b'{"id": [1, "a", 2.5, true, {"b": [1]}, ""], "x": [1, 2, 3, 4, 5, 6]}'
    _, body = without_private("json", body, private(id=SALT))
    texts = ["1", "a", "2.5", "true", '{"b":[1]}', ""]
    assert json.loads(body)["id"] == list(map(expected, texts))


def test_what_is_hashed_is_not_hashed_again():
    """Rows that were kept may become a reference."""
    columns = private("age", id=SALT, email="another")
    format_, once = without_private("json", BODIES["json"], columns)
    assert without_private(format_, once, columns) == (format_, once)
    table = apply(read(format_, once), columns)
    assert apply(table, columns).equals(table)
    mixed = pa.table({"id": [expected("a"), "a"]})
    assert apply(mixed, private(id=SALT))["id"].to_pylist() == [expected("a")] * 2


def test_a_column_that_is_not_there_is_no_mistake():
    assert json.loads(without_private("json", b'{"a": [1]}', private("b", c=SALT))[1]) == {"a": [1]}
    assert without_private("json", b"{}", private("b"))[1] == b"{}"


@pytest.mark.parametrize("format_", BODIES)
def test_a_body_of_which_nothing_is_left_is_refused(format_):
    with pytest.raises(BadBody, match="no column of the body is left"):
        without_private(format_, BODIES[format_], private(keep=["nothing"]))


@pytest.mark.parametrize(
    ("format_", "body"),
    [
        ("csv", b"id,email\n1,ann@x.example,3\n"),
        ("csv", b'id,email\n1,"ann@x.example'),
        ("arrow", b"ann@x.example"),
        ("json", b'{"email": "ann@x.example"'),
        ("json", b'{"x": NaN, "email": 2663' + b"0" * 400 + b"}"),
    ],
)
def test_no_error_quotes_a_body(format_, body):
    with pytest.raises(BadBody) as raised:
        without_private(format_, body, private(email=SALT))
    assert "ann" not in str(raised.value)
    assert "2663" not in str(raised.value)
    assert raised.value.__cause__ is None or "ann" not in str(raised.value.__cause__)


def test_infinities_and_columns_of_a_frames_parts_stay_what_they_are():
    _, body = without_private("json", b'[{"columns": 1, "data": Infinity, "x": 1}]', private("x"))
    assert read("json", body).to_pydict() == {"columns": [1], "data": [float("inf")]}


@pytest.mark.parametrize(
    "body",
    [
        b'zip,name,age\n"02139","Ann, B",41\n"10001",Bob,37\n',  # a quote says text
        b'"zip","name","age"\n"02139","Ann","41"\n"10001","B""ob","37"\n',  # all are quoted, which says nothing
        b"zip,name,age\n02139,,41\n,,\n10001,Bob,37\n",
        b'zip,name,age\n"",Ann,41\n7,"",37\n',
        b'zip,name,age\n"1\n2",Ann,41\n',
    ],
    ids=["text", "all quoted", "missing", "empty", "lines"],
)
@pytest.mark.parametrize(
    "dropped", [["age"], ["name"], ["zip"], ["zip", "name"], ["zip", "age"], ["name", "age"]], ids=",".join
)
def test_csv_means_the_same_without_some_of_its_columns(body, dropped):
    became, left = without_private("csv", body, private(*dropped))
    before = read("csv", body).drop_columns(dropped)
    if became == "csv":
        assert read(became, left).equals(before, check_metadata=True)
    else:
        assert read(became, left).to_pydict() == before.to_pydict()
