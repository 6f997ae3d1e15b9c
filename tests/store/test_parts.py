import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from disks import append

from collector.errors import BadBody
from collector.formats.frames import Frame, check_frame
from collector.store.data_dir import DataDir
from collector.store.parts import Origin, Written, read_origin, warm_up, write_part, write_reference


def _frame(*values, name="a"):
    return check_frame("json", json.dumps({name: values}).encode())


async def test_a_part_has_the_rows_of_its_run_in_their_order(journal, path, tmp_path):
    for values in ((1, 2), (3,), (4, 5)):
        await append(journal, "main", _frame(*values))
        await append(journal, "other", _frame(0))
    run = await journal.next_run("main", None, 3, 10**6)
    target = tmp_path / "part.parquet"
    assert write_part(str(path.parent), "main", run.first, run.last, str(target)) == Written(
        run.rows, target.stat().st_size
    )
    assert run.rows == 3
    assert pq.read_table(target).to_pydict() == {"a": [1, 2, 3]}


async def test_frames_with_other_columns_become_one_part(journal, path, tmp_path):
    await append(journal, "main", _frame(1))
    await append(journal, "main", _frame("x", name="b"))
    run = await journal.next_run("main", None, 10, 10**6)
    write_part(str(path.parent), "main", run.first, run.last, str(tmp_path / "part.parquet"))
    assert pq.read_table(tmp_path / "part.parquet").to_pydict() == {"a": [1, None], "b": [None, "x"]}


def test_a_file_is_its_owners_only_and_stands_alone(tmp_path):
    assert write_reference("json", b'{"a": [1, 2]}', str(tmp_path / "r.parquet"))[0] == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.parquet"]
    assert stat.S_IMODE((tmp_path / "r.parquet").stat().st_mode) == 0o600


def test_a_file_is_on_the_disk_before_its_name_is_and_then_the_name_too(tmp_path, monkeypatch):
    synced = []
    target = tmp_path / "r.parquet"
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append((os.fstat(opened), target.exists())))
    _, size = write_reference("json", b'{"a": [1]}', str(target))
    assert [(stat.S_ISDIR(status.st_mode), is_there) for status, is_there in synced] == [(False, False), (True, True)]
    assert synced[0][0].st_size == size


def test_what_fails_leaves_the_old_file_whole(tmp_path):
    target = tmp_path / "r.parquet"
    write_reference("json", b'{"a": [1]}', str(target))
    with pytest.raises(BadBody):
        write_reference("json", b"5", str(target))
    assert pq.read_table(target).to_pydict() == {"a": [1]}


def test_a_file_is_replaced_in_one_step(tmp_path):
    """Who has the old one open goes on reading it."""
    target = tmp_path / "r.parquet"
    write_reference("json", b'{"a": [1]}', str(target))
    with target.open("rb") as reader:
        write_reference("json", b'{"a": [2, 3]}', str(target))
        assert pq.read_table(reader).to_pydict() == {"a": [1]}
    assert pq.read_table(target).to_pydict() == {"a": [2, 3]}


def test_only_a_column_of_few_different_values_is_written_as_a_dictionary(tmp_path):
    columns = {"many": [number / 7 for number in range(20_000)], "few": [number % 9 / 7 for number in range(20_000)]}
    write_reference("json", json.dumps(columns).encode(), str(tmp_path / "r.parquet"))
    assert pq.read_table(tmp_path / "r.parquet").to_pydict() == columns
    group = pq.read_metadata(tmp_path / "r.parquet").row_group(0)
    most = [group.column(number).total_uncompressed_size / 20_000 for number in range(2)]  # bytes of a value
    assert 8 < most[0] < 9
    assert most[1] < 1


def test_a_reference_may_come_in_any_format(tmp_path):
    warm_up()
    write_reference("csv", b"a,b\n1,x\n", str(tmp_path / "r.parquet"))
    assert pq.read_table(tmp_path / "r.parquet").to_pydict() == {"a": ["1"], "b": ["x"]}  # typed when it is read


# Frames that are damaged


def _damaged(path, seq, sql="body = X'00'"):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE frame SET {sql} WHERE seq = ?", (seq,))


async def _written(journal, path, tmp_path):
    run = await journal.next_run("main", None, 1000, 10**6)
    return run, write_part(str(path.parent), "main", run.first, run.last, str(tmp_path / "part.parquet"))


@pytest.mark.parametrize(
    ("change", "format_"),
    [
        ("""body = CAST('{"a": [4]}' AS BLOB)""", "json"),
        ("rows = 2", "json"),
        ("checksum = checksum + 1", "json"),
        ("body = 'text'", "json"),
        ("body = 5", "json"),
        ("format = 'csv'", "csv"),
        ("format = '../x'", "..%2Fx"),
    ],
)
async def test_a_frame_that_is_damaged_is_set_aside_and_the_rest_becomes_the_part(
    journal, path, tmp_path, change, format_
):
    for value in (1, 2, 3):
        await append(journal, "main", _frame(value))
    _damaged(path, 2, change)
    _, written = await _written(journal, path, tmp_path)
    assert pq.read_table(tmp_path / "part.parquet").to_pydict() == {"a": [1, 3]}
    [kept] = [Path(name) for name in written.damaged]
    assert (written.rows, kept.parent, kept.name[:10]) == (2, tmp_path / "damaged", "frame-main")
    assert kept.name.endswith(f"-2.{format_}")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


async def test_a_frame_that_is_sound_and_cannot_be_decoded_is_set_aside_as_it_came(journal, path, tmp_path):
    """Nothing like it is accepted; a bug, or another version, may have let it in."""
    for frame in (_frame(1), Frame("json", b"5", 1), Frame("parquet", b"PAR1", 1), _frame(2)):
        await append(journal, "main", frame)
    _, written = await _written(journal, path, tmp_path)
    assert pq.read_table(tmp_path / "part.parquet").to_pydict() == {"a": [1, 2]}
    assert written.damaged == tuple(map(str, sorted((tmp_path / "damaged").iterdir())))
    assert [(tmp_path / "damaged" / name).read_bytes() for name in written.damaged] == [b"5", b"PAR1"]


async def test_of_many_frames_only_the_damaged_one_is_set_aside(journal, path, tmp_path):
    """So many are looked at together, and the others one by one where one of them is damaged."""
    for value in range(300):
        await append(journal, "main", _frame(value))
    _damaged(path, 200)
    _, written = await _written(journal, path, tmp_path)
    assert pq.read_table(tmp_path / "part.parquet").to_pydict() == {"a": [*range(199), *range(200, 300)]}
    assert (written.rows, len(written.damaged)) == (299, 1)


async def test_a_frame_of_another_collector_is_set_aside(journal, path, tmp_path):
    """The index may be damaged, and say that it is of this one: the checksum says whose it is."""
    await append(journal, "main", _frame(1))
    await append(journal, "other", _frame(2))
    _damaged(path, 2, "collector = 'main'")
    _, written = await _written(journal, path, tmp_path)
    assert pq.read_table(tmp_path / "part.parquet").to_pydict() == {"a": [1]}
    assert len(written.damaged) == 1


async def test_frames_that_are_all_damaged_make_no_part(journal, path, tmp_path):
    await append(journal, "main", _frame(1))
    _damaged(path, 1)
    _, written = await _written(journal, path, tmp_path)
    assert (written.rows, written.size, len(written.damaged)) == (0, 0, 1)
    assert not list(tmp_path.glob("part.*"))


async def test_frames_of_the_first_format_have_no_checksum(journal, path, tmp_path):
    await append(journal, "main", _frame(1))
    _damaged(path, 1, "checksum = NULL")
    assert (await _written(journal, path, tmp_path))[1].rows == 1


async def test_a_part_says_what_it_was_made_of(journal, path, tmp_path, monkeypatch):
    monkeypatch.setattr("collector.store.journal.time.time", lambda: 100.0)
    for value in (1, 2):
        await append(journal, "main", _frame(value))
    run, _ = await _written(journal, path, tmp_path)
    assert read_origin(tmp_path / "part.parquet") == (Origin("main", run.first, run.last, 100.0), 2)
    write_reference("json", b'{"a": [1]}', str(tmp_path / "reference.parquet"))
    (tmp_path / "text.parquet").write_text("text")
    for name in ("reference", "text", "gone"):
        assert read_origin(tmp_path / f"{name}.parquet") is None


async def test_a_broken_journal_is_marked_for_the_daemon(journal, path, tmp_path):
    await append(journal, "main", _frame(1))
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    copy.write_bytes(b"no database at all, " * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_part(str(copy.parent), "main", 1, 1, str(tmp_path / "part.parquet"))
    assert DataDir(copy.parent).journal_mark.exists()
    assert not DataDir(path.parent).journal_mark.exists()
