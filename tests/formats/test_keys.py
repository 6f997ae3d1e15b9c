"""Keys of labels as they come in: each row needs one, in every format, and who has none is told which row."""

import json

import pyarrow as pa
import pytest
from bodies import arrow, parquet

from collector.errors import BadBody
from collector.formats import json_body
from collector.formats.bounds import Bounds
from collector.formats.frames import check_body, check_frame

BOUNDS = Bounds(key="id")


def bodies(ids):
    """Write ids in all forms in which labels come."""
    table = pa.table({"id": ids, "label": [1] * len(ids)})
    rows = [{"id": one, "label": 1} for one in ids]
    lists = {"id": ids, "label": [1] * len(ids)}
    keyed = {name: {str(row): value for row, value in enumerate(values)} for name, values in lists.items()}
    yield "json", json.dumps(rows).encode()
    yield "json", json.dumps(lists).encode()
    yield "json", json.dumps(keyed).encode()
    if len(ids) == 1:
        yield "json", json.dumps(rows[0]).encode()
    yield "ndjson", "\n".join(map(json.dumps, rows)).encode()
    yield "csv", "\n".join(["id,label", *(f"{'' if one is None else one},1" for one in ids)]).encode() + b"\n"
    yield "arrow", arrow(table)
    yield "parquet", parquet(table)


@pytest.mark.parametrize(
    "ids", [["a"], [1, 2, 2**62 + 1], [2**62 + 1], ["a", "b"] * 3], ids=["one", "numbers", "large", "texts"]
)
def test_labels_with_keys_are_counted_in_every_format(ids):
    for format_, body in bodies(ids):
        assert check_frame(format_, body, BOUNDS).rows == check_body(format_, body, BOUNDS)[0] == len(ids)


@pytest.mark.parametrize("ids", [[None], [""], ["a", "b", None], ["a", ""]], ids=["null", "empty", "last", "second"])
def test_a_row_without_a_key_is_refused_in_every_format_and_named(ids):
    for format_, body in bodies(ids):
        for check in (check_frame, check_body):
            with pytest.raises(BadBody, match=f"the key 'id' of row {len(ids) - 1} is"):
                check(format_, body, BOUNDS)


@pytest.mark.parametrize("value", ["NaN", "1e300", "9007199254740992.0", "36893488147419103232", "[1]", '{"a": 1}'])
def test_what_can_not_be_a_key_is_refused(value):
    alone = f'{{"id": {value}}}' if value[0] not in "[{" else f'[{{"id": {value}}}]'  # else it is a column
    for body in (alone, f'[{{"id": 1}}, {{"id": {value}}}]', f'{{"id": [1, {value}]}}'):
        with pytest.raises(BadBody, match="the key 'id' of row"):
            check_frame("json", body.encode(), BOUNDS)


def test_labels_without_the_column_are_refused_and_lists_in_it():
    for format_, body in [("json", b'{"label": 1}'), ("ndjson", b'{"label": 1}'), ("csv", b"label\n1\n")]:
        with pytest.raises(BadBody, match="the body has no column 'id'"):
            check_frame(format_, body, BOUNDS)
    with pytest.raises(BadBody, match="the key 'id' is list<"):
        check_frame("arrow", arrow(pa.table({"id": [[1]]})), BOUNDS)


def test_no_rows_need_no_key_and_events_need_none():
    assert check_frame("json", b"[]", BOUNDS).rows == 0
    assert check_frame("json", b'{"label": 1}').rows == 1


def test_records_of_labels_are_counted_without_a_table_as_events_are(monkeypatch):
    def refuse(*_):
        raise AssertionError("a table was made")

    for name in ("_columns_of", "read_lines"):
        monkeypatch.setattr(json_body, name, refuse)
    assert json_body.count_rows(b'[{"id": 1, "label": 0}, {"id": "b", "label": null}]', BOUNDS) == (2, ["id", "label"])
    assert json_body.count_lines(b'{"id": 1, "label": 0}\n{"id": "b", "label": null}\n', BOUNDS) == (2, ["id", "label"])


def test_a_record_of_labels_that_lacks_the_key_is_named():
    for format_, body in [("json", b'[{"id": 1}, {"label": 1}]'), ("ndjson", b'{"id": 1}\n{"label": 1}\n')]:
        with pytest.raises(BadBody, match="the key 'id' of row 1 is null"):
            check_body(format_, body, BOUNDS)
