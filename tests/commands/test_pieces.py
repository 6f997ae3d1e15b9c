"""Pieces: the same rows in the same pieces each time, none too large."""

import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from collector.commands import pieces
from collector.commands.pieces import CSV, NDJSON, read_pieces
from collector.commands.sources import open_source
from collector.errors import CommandError
from collector.formats.frames import check_frame, decode_frames, format_of
from collector.formats.spellings import typed_by_spelling

TABLE = pa.table({"id": list(range(1, 11)), "text": [f"row {number}" for number in range(1, 11)]})


def write_stream(table, path):
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)


WRITERS = {
    "rows.csv": pyarrow.csv.write_csv,
    "rows.parquet": lambda table, path: pq.write_table(table, path, row_group_size=4),
    "rows.feather": lambda table, path: pyarrow.feather.write_feather(table, str(path), chunksize=3),
    "rows.arrow": write_stream,
}


@pytest.fixture
def cut(tmp_path):
    """Write a file and cut it into pieces."""

    def cut(name, content, rows, first=1):
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            WRITERS[name](content, path)
        with open_source(str(path), None) as source:
            return list(read_pieces(source, rows, first))

    return cut


def table_of(piece):
    table = decode_frames([(format_of(piece.media_type), piece.body)])
    return typed_by_spelling(table).replace_schema_metadata(None)


@pytest.mark.parametrize("name", WRITERS)
def test_each_form_is_cut_where_it_is_to_be_whatever_its_own_pieces(cut, name):
    cuts = cut(name, TABLE, 4)
    assert [(piece.start, piece.rows) for piece in cuts] == [(1, 4), (5, 4), (9, 2)]
    assert pa.concat_tables(map(table_of, cuts)).to_pydict() == TABLE.to_pydict()


@pytest.mark.parametrize("name", WRITERS)
def test_a_later_start_cuts_as_the_first_did(cut, name):
    assert cut(name, TABLE, 4, first=5) == cut(name, TABLE, 4)[1:]
    assert cut(name, TABLE, 4, first=99) == []


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_file_gives_the_same_bytes(cut, name):
    assert cut(name, TABLE, 3) == cut(name, TABLE, 3)


def test_pieces_of_many_bytes_are_halved(cut, monkeypatch):
    monkeypatch.setattr(pieces, "MAX_BYTES", 1000)
    wide = pa.table({"text": ["x" * 400] * 7})
    cuts = cut("rows.parquet", wide, 5)
    assert [(piece.start, piece.rows) for piece in cuts] == [(1, 2), (3, 1), (4, 2), (6, 2)]  # 5 = 3 + 2, 3 = 2 + 1
    assert all(table_of(piece).nbytes <= 1000 for piece in cuts)


def test_a_dictionary_that_every_piece_needs_is_no_reason_to_halve(cut, monkeypatch):
    monkeypatch.setattr(pieces, "MAX_BYTES", 1000)
    categories = pa.array(["x" * 900, "y" * 900] * 4).dictionary_encode()
    assert [piece.rows for piece in cut("rows.parquet", pa.table({"a": categories}), 8)] == [8]


def test_lines_stay_as_they_are_and_blank_ones_go(cut):
    cuts = cut("rows.ndjson", b'\xef\xbb\xbf{"a": 1}\n\n {"a": NaN}\r\n{"a": "x"}', 2)
    assert [(piece.start, piece.rows, piece.body) for piece in cuts] == [
        (1, 2, b'{"a": 1}\n{"a": NaN}'),
        (3, 1, b'{"a": "x"}'),
    ]
    assert check_frame("ndjson", cuts[0].body).rows == 2


def test_lines_of_many_bytes_are_sent_in_fewer_rows(cut, monkeypatch):
    monkeypatch.setattr(pieces, "MAX_BYTES", 20)
    cuts = cut("rows.ndjson", b'{"a": 1}\n' * 5 + b'{"a": "longer than a piece may be"}\n{"a": 1}', 10)
    assert [(piece.start, piece.rows) for piece in cuts] == [(1, 2), (3, 2), (5, 1), (6, 1), (7, 1)]
    assert cut("rows.ndjson", b'{"a": 1}\n' * 5, 2, first=3)[0].start == 3


def test_a_line_without_end_takes_no_more_than_its_limit_of_memory(cut, monkeypatch):
    monkeypatch.setattr(pieces, "MAX_ROW_BYTES", 100)
    with pytest.raises(CommandError, match="a line has 100 bytes or more"):
        cut("rows.ndjson", b"[" + b"1," * 200, 2)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.feather"])
def test_what_is_not_what_its_name_says_is_told(cut, name):
    with pytest.raises(CommandError, match=r"rows\.\w+ can't be read as (parquet|arrow): \S+"):
        cut(name, b"no such thing", 4)


def test_the_place_that_a_refusal_speaks_of_is_the_files(cut):
    piece = cut("rows.ndjson", b'{"a": 1}\n' * 9, 4)[1]
    assert piece.media_type == NDJSON
    assert piece.place_of("the body isn't JSON in line 2: …") == "row 6"
    assert piece.place_of("something else") == "rows 5 to 8"
    assert cut("rows.parquet", TABLE, 3)[3].place_of("in line 2") == "row 10"
    of_csv = cut("rows.csv", b"a\n1\n2\n3\n4,5\n", 2)[1]
    assert of_csv.media_type == CSV
    assert of_csv.place_of("CSV parse error: Row #3: Expected 1 columns, got 2: 4,5") == "row 4"


@pytest.mark.parametrize(
    "body",
    [
        b'[{"a": 1}, {"a": "x", "b": [1]}]',
        b'{"a": [1, "x"], "b": [null, [1]]}',
        b'{"a": {"0": 1, "1": "x"}, "b": {"0": null, "1": [1]}}',
        b'\xef\xbb\xbf{"a": 1, "b": null}\n{"a": "x", "b": [1]}\n',
    ],
)
def test_json_is_cut_into_records_whatever_its_shape(cut, body):
    cuts = cut("rows.json", body, 1)
    assert [(piece.start, piece.rows, piece.media_type) for piece in cuts] == [(1, 1, NDJSON), (2, 1, NDJSON)]
    rows = [json.loads(piece.body) for piece in cuts]
    assert [(row["a"], row.get("b")) for row in rows] == [(1, None), ("x", [1])]


def test_json_that_is_no_table_is_told(cut):
    with pytest.raises(CommandError, match=r"rows\.json: JSON is malformed"):
        cut("rows.json", b"{no", 1)


def test_memory_holds_pieces_not_files(tmp_path):
    """A parquet file of one row group is read as it is sent."""
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": pa.array(range(2_000_000), pa.int64())}), path)
    before = pa.total_allocated_bytes()
    with open_source(str(path), None) as source:
        most = max(pa.total_allocated_bytes() - before for _ in read_pieces(source, 1000))
    assert most < 8 * 2_000_000 / 4
