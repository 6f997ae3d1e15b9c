import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kinds import BODIES
from pandas.testing import assert_frame_equal

from collector.evaluation import prepared as frames
from collector.evaluation.sampling import Sample
from collector.evaluation.selecting import Wish
from collector.evaluation.uncomputed import reason_of
from collector.formats.frames import decode_frames
from collector.formats.private import apply
from collector.formats.sources import JSON, marked
from collector.store.parts import write


@pytest.fixture
def prepare(tmp_path):
    def run(current, reference=None, config=(), *, cache=False):
        paths = [tmp_path / "current.parquet", tmp_path / "reference.parquet"]
        pq.write_table(marked(pa.Table.from_pandas(current), JSON), paths[0])
        if reference is not None:
            reference.to_parquet(paths[1])
        return frames.prepare([str(paths[0])], None if reference is None else str(paths[1]), cache=cache, config=config)

    return run


def test_what_came_as_json_text_gets_the_references_types_and_a_note(prepare):
    reference = pd.DataFrame({"at": pd.to_datetime(["2026-01-01"]), "n": [1], "x": [1.5]})
    ready = prepare(pd.DataFrame({"at": ["2026-02-01T00:00:00Z"], "n": ["7"], "x": [2]}), reference)
    assert list(ready.current.dtypes) == list(ready.reference.dtypes)
    assert ready.notes == [
        "Column 'at' came as text and was cast to times, as in the reference (1 value: '2026-02-01T00:00:00Z').",
        "Column 'n' came as text and was cast to integers, as in the reference (1 value: '7').",
    ]


def test_what_cannot_be_cast_is_left_and_said(prepare):
    ready = prepare(pd.DataFrame({"n": ["7", "many"]}), pd.DataFrame({"n": [1, 2]}))
    assert list(ready.current["n"]) == ["7", "many"]
    [note] = ready.notes
    assert "is integers in the reference: left as it came, as 1 of 2 values ('many') can't be cast" in note


def test_a_reference_that_came_as_csv_has_the_types_that_it_spells(tmp_path):
    for name in ("part", "reference"):
        table = decode_frames([("csv", b'zip,age,plan\n02139,41,"7"\n10001,37,"8"\n')])
        pq.write_table(table, tmp_path / f"{name}.parquet")
    ready = frames.prepare(
        [str(tmp_path / "part.parquet")], str(tmp_path / "reference.parquet"), cache=False, config=[]
    )
    assert [column.dtype.kind for _, column in ready.reference.items()] == ["O", "i", "O"]
    assert_frame_equal(ready.current, ready.reference)
    assert ready.notes == []


def test_lists_of_json_are_lists_for_a_descriptor_and_text_for_all_else(tmp_path):
    pq.write_table(decode_frames([("json", b'[{"q": "a b", "items": ["a"]}]')]), tmp_path / "part.parquet")
    for config, value in (({"descriptors": [{"columns": ["q", "items"]}]}, ["a"]), ({"metrics": ["items"]}, '["a"]')):
        ready = frames.prepare([str(tmp_path / "part.parquet")], None, cache=False, config=[config])
        assert list(ready.current["items"]) == [value]


def test_nested_values_are_written_alike_by_json_and_by_parquet(tmp_path):
    """Lists that came as JSON had all drifted from a reference's own: one was [1,2] and the other [1, 2]."""
    rows = [{"a": [[1, 2], [1]], "b": {"y": "é", "x": 1.5}}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "reference.parquet")
    pq.write_table(decode_frames([("json", json.dumps(rows).encode())]), tmp_path / "part.parquet")
    ready = frames.prepare(
        [str(tmp_path / "part.parquet")], str(tmp_path / "reference.parquet"), cache=False, config=[]
    )
    assert (
        ready.current.to_dict() == ready.reference.to_dict() == {"a": {0: "[[1,2],[1]]"}, "b": {0: '{"x":1.5,"y":"é"}'}}
    )


def test_every_column_is_kept_whatever_the_other_side_has(prepare):
    current = pd.DataFrame({"a": [1], "mine": [1], "gone": [np.nan], "was": [1.0]})
    reference = pd.DataFrame({"a": [2], "its": [1], "gone": [1.0], "was": [np.nan]})
    ready = prepare(current, reference)
    assert (set(ready.current), set(ready.reference)) == (set(current), set(reference))
    assert ready.notes == [
        "Column 'gone' has no value in the batch; in the reference it is numbers.",
        "Column 'mine' is only in the batch: it can't be compared; it is integers there (1 value: 1).",
        "Column 'its' of the reference is missing in the batch; in the reference it is integers.",
    ]


@pytest.mark.parametrize(
    ("known", "dtype"),
    [
        ([1, 2], "float64"),
        ([1.5, 2], "float64"),
        ([True, False], "category"),
        (pd.Categorical(["a", "b"]), "category"),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]).astype("datetime64[us]"), "datetime64[us]"),
        (["a", "b"], None),
    ],
)
def test_a_column_without_values_has_the_references_type(prepare, known, dtype):
    ready = prepare(pd.DataFrame({"a": [None, None]}), pd.DataFrame({"a": known}))
    assert ready.current["a"].dtype == (dtype or ready.reference["a"].dtype)
    assert ready.current["a"].isna().all()


def test_no_column_name_is_special(prepare):
    frame = pd.DataFrame({"self": [1], "index": [1], "": [1]})
    assert list(prepare(frame.astype(str), frame).current.dtypes) == ["int64"] * 3


def test_without_a_reference_an_empty_column_stays_too(prepare):
    ready = prepare(pd.DataFrame({"a": ["3"], "e": [None]}))
    assert (list(ready.current), list(ready.current["a"]), ready.reference) == (["a", "e"], ["3"], None)
    assert ready.notes == ["Column 'e' has no value in the batch."]


def test_nullable_and_numpy_columns_come_out_alike(prepare):
    current = pd.DataFrame(
        {"i": pd.array([1, 2], "Int64"), "f": pd.array([1.5, None], "Float64"), "u": pd.array([1, 2], "uint8")}
    )
    reference = pd.DataFrame({"i": [1, 2], "f": [1.5, np.nan], "u": [1, 2]})
    ready = prepare(current, reference)
    assert_frame_equal(ready.current, ready.reference)
    assert ready.notes == []


def test_a_batch_or_a_reference_without_rows_is_an_error(prepare):
    with pytest.raises(ValueError, match="the batch has no rows"):
        prepare(pd.DataFrame({"a": pd.Series([], dtype="int64")}))
    with pytest.raises(ValueError, match=r"reference\.parquet has no rows"):
        prepare(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": pd.Series([], dtype="int64")}))


def test_a_cached_reference_is_read_once_until_its_file_changes(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(frames, "read_table", lambda path: reads.append(path) or pq.read_table(path))
    part, reference = str(tmp_path / "part.parquet"), str(tmp_path / "reference.parquet")
    pq.write_table(pa.table({"a": [1]}), part)
    pq.write_table(pa.table({"a": [1]}), reference)
    for _ in range(2):
        frames.prepare([part], reference, cache=True, config=[])
    assert len(reads) == 1
    os.utime(reference, ns=(1, 1))
    frames.prepare([part], reference, cache=True, config=[])
    assert len(reads) == 2
    for _ in range(2):
        frames.prepare([part], reference, cache=False, config=[])
    assert len(reads) == 4


def test_a_file_in_the_place_of_another_of_the_same_time_and_size_is_read(tmp_path):
    part, reference, other = (str(tmp_path / f"{name}.parquet") for name in ("part", "reference", "other"))
    for path, value in ((part, 1), (reference, 1), (other, 2)):
        pq.write_table(pa.table({"a": [value]}), path)
        os.utime(path, ns=(1, 1))
    assert os.stat(reference).st_size == os.stat(other).st_size  # noqa: PTH116
    assert list(frames.prepare([part], reference, cache=True, config=[]).reference["a"]) == [1]
    os.replace(other, reference)  # noqa: PTH105
    assert list(frames.prepare([part], reference, cache=True, config=[]).reference["a"]) == [2]


@pytest.mark.parametrize("cache", [True, False])
def test_a_reference_that_may_be_kept_has_a_key_whatever_the_batch_has(tmp_path, cache):
    part, reference = str(tmp_path / "part.parquet"), str(tmp_path / "reference.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [1]}), reference)
    keys = []
    for columns in ({"a": ["x"]}, {"b": [1]}):
        pq.write_table(pa.table(columns), part)
        keys.append(frames.prepare([part], reference, cache=cache, config=[]).reference_key)
    assert (keys[0] == keys[1], None in keys) == (True, not cache)


def test_a_column_whose_types_can_not_be_merged_is_missing_and_the_reason_is_known(monkeypatch):
    merging = SimpleNamespace(failed={"b": "not all can be taken as text"}, notes=["Column 'b' failed."])
    monkeypatch.setattr(frames, "read_parts", lambda _: (pa.table({"a": [1], "b": ["x"]}), merging))
    ready = frames.prepare([], None, cache=False, config=[])
    assert (list(ready.current), ready.notes) == (["a"], ["Column 'b' failed."])
    told = reason_of(KeyError("b"), ["b"], {"batch": ready.current})
    assert told == "the batch has no column 'b': not all can be taken as text"


def test_a_column_that_came_in_two_kinds_and_is_read_as_one_is_not_said_to_be_text(tmp_path):
    body = ("json", b'[{"n": 1}, {"n": "N/A"}, {"n": 3}]')
    pq.write_table(decode_frames([body, ("csv", b"m\n1\n"), ("json", b'[{"m": 2}]')]), tmp_path / "part.parquet")
    pd.DataFrame({"n": [1], "m": [1]}).to_parquet(tmp_path / "reference.parquet")
    ready = frames.prepare(
        [str(tmp_path / "part.parquet")], str(tmp_path / "reference.parquet"), cache=False, config=[]
    )
    [note] = ready.notes
    assert "and 1 of 3 values ('N/A') was taken as missing" in note
    ready = frames.prepare([str(tmp_path / "part.parquet")], None, cache=False, config=[])
    assert ready.notes[0] == "Column 'n' came as numbers and text: taken as text."
    assert len(ready.notes) == 2


def wide(columns, path):
    """Write a table of columns by their names, as a part has them; the shorter ones lack values."""
    rows = max(len(column) for _, column in columns.values())
    padded = [
        pa.chunked_array([*column.chunks, pa.nulls(rows - len(column), column.type)]) for _, column in columns.values()
    ]
    schema = pa.schema([one.with_name(name) for name, (one, _) in columns.items()])
    write(pa.Table.from_arrays(padded, schema=schema), path)
    return str(path)


def test_a_column_of_any_kind_beside_a_reference_of_any_kind_costs_no_other_column(tmp_path):
    """What can't be cast stays, what pandas can't hold is named, and no batch is lost by it."""
    tables = {name: decode_frames([body]) for name, body in BODIES.items()}
    columns = {name: (table.schema.field("c"), table["c"]) for name, table in tables.items()}
    batch = wide(columns, tmp_path / "batch.parquet")
    for kind in list(BODIES)[:: len(BODIES) // 10]:
        reference = wide(dict.fromkeys(BODIES, columns[kind]), tmp_path / "reference.parquet")
        for sample in (None, Sample(4, 1)):
            ready = frames.prepare([batch], reference, cache=False, config=[], sample=sample)
            failed = {name for note in ready.notes for name in BODIES if note.startswith(f"Column {name!r} failed")}
            assert failed == {"far date", "far time", "far duration"}
            assert set(ready.current) == set(BODIES) - failed
            assert len(ready.current) == (4 if sample else 8)


PRIVATE = {"keep": None, "drop": ["name"], "hash": {"id": "pepper"}}


def test_private_columns_of_files_are_dropped_or_hashed_as_those_of_events_are(tmp_path):
    """A reference that the operator wrote isn't; nor are parts that came before the config said so."""
    reference, part = str(tmp_path / "reference.parquet"), str(tmp_path / "part.parquet")
    rows = pa.table({"id": [1, 2], "name": ["Ann", "Bob"], "age": [41, 37]})
    pq.write_table(rows, reference)
    pq.write_table(apply(rows.slice(0, 1), PRIVATE), part)
    prepare = frames.prepare
    made = prepare([part], reference, cache=True, config=[], private=PRIVATE)
    assert list(made.reference.columns) == list(made.current.columns) == ["id", "age"]
    assert made.reference["id"].tolist()[0] == made.current["id"].tolist()[0]
    assert made.current["id"].tolist()[0].startswith("hmac:")
    raw = prepare([part], reference, cache=True, config=[])
    assert raw.reference["id"].tolist() == [1, 2]  # what is kept in memory is of one salt
    assert prepare([reference], reference, cache=True, config=[], private=PRIVATE).current.equals(made.reference)


def test_private_columns_of_rows_that_came_before_the_config_said_so_are_hashed_in_a_sample_too(tmp_path):
    """Also where rows are chosen by them: segments are those of the reference's hashes."""
    rows = pa.table({"id": ["a", "b"] * 4, "name": ["Ann", "Bob"] * 4, "age": range(8)})
    rows = rows.set_column(0, "id", rows["id"].cast(pa.large_string()))
    paths = [str(tmp_path / f"{number}.parquet") for number in range(2)]
    pq.write_table(rows, paths[0])
    pq.write_table(apply(rows, PRIVATE), paths[1])
    wish = Wish(
        "018f0000-0000-7000-8000-00000000000b",
        {},
        {"column": "id", "values": None, "edges": None, "max": 20, "min_rows": 3},
    )
    for chosen in (None, wish):
        told = []
        for sample in (None, Sample(6, 1)):
            made = frames.prepare(paths, paths[0], cache=False, config=[], private=PRIVATE, sample=sample, wish=chosen)
            assert set(made.current["id"]) == {apply(rows, PRIVATE)["id"][row].as_py() for row in (0, 1)}
            told.append((made.notes, [(one.name, one.rows) for one in made.segments]))
        assert told[0] == told[1]
