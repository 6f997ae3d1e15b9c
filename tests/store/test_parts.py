import json
import os
import stat

import pyarrow.parquet as pq
import pytest

from collector.errors import BadBody
from collector.store.frames import check_frame
from collector.store.parts import warm_up, write_part, write_reference


def _frame(*values, name="a"):
    return check_frame("json", json.dumps({name: values}).encode())


async def test_a_part_has_the_rows_of_its_run_in_their_order(journal, path, tmp_path):
    for values in ((1, 2), (3,), (4, 5)):
        await journal.append("main", _frame(*values))
        await journal.append("other", _frame(0))
    run = await journal.next_run("main", None, 3, 10**6)
    target = tmp_path / "part.parquet"
    rows, size = write_part(str(path), "main", run.first, run.last, str(target))
    assert (rows, size) == (run.rows, target.stat().st_size) == (3, size)
    assert pq.read_table(target).to_pydict() == {"a": [1, 2, 3]}


async def test_frames_with_other_columns_become_one_part(journal, path, tmp_path):
    await journal.append("main", _frame(1))
    await journal.append("main", _frame("x", name="b"))
    run = await journal.next_run("main", None, 10, 10**6)
    write_part(str(path), "main", run.first, run.last, str(tmp_path / "part.parquet"))
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


def test_a_reference_may_come_in_any_format(tmp_path):
    warm_up()
    write_reference("csv", b"a,b\n1,x\n", str(tmp_path / "r.parquet"))
    assert pq.read_table(tmp_path / "r.parquet").to_pydict() == {"a": [1], "b": ["x"]}
