import os
import stat
import subprocess
import sys
import zlib

import pytest
from machine import PATIENCE

from collector.config.model import MAX_ID_LENGTH
from collector.errors import DataDirError
from collector.store.data_dir import KEPT_REFERENCES, open_data_dir

HOLD = """
import sys
from pathlib import Path
from collector.store.data_dir import open_data_dir
with open_data_dir(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path):
    with open_data_dir(tmp_path / "data") as opened:
        yield opened


def _touched(*paths):
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return list(paths)


def test_a_data_directory_is_made_for_its_owner_only(tmp_path):
    with open_data_dir(tmp_path / "new" / "data") as opened:
        made = [opened.path, *(opened.path / name for name in ("parts", "snapshots", "failed", "references"))]
        assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}
        assert stat.S_IMODE((opened.path / "lock").stat().st_mode) == 0o600


def test_a_data_directory_that_was_open_to_all_is_closed(tmp_path):
    for path in (tmp_path / "data", tmp_path / "data" / "parts"):
        path.mkdir(mode=0o755)
    with open_data_dir(tmp_path / "data") as opened:
        assert [stat.S_IMODE(path.stat().st_mode) for path in (opened.path, opened.path / "parts")] == [0o700] * 2


def test_a_second_holder_is_refused_until_the_first_is_gone(tmp_path):
    told = f"another collector already works in {tmp_path}"
    with open_data_dir(tmp_path), pytest.raises(DataDirError, match=told), open_data_dir(tmp_path):
        pytest.fail("held twice")
    with open_data_dir(tmp_path) as opened:
        assert opened.path == tmp_path


def test_a_second_process_is_refused_and_a_killed_one_holds_nothing(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataDirError, match="another collector"), open_data_dir(tmp_path):
            pytest.fail("held twice")
        holder.kill()
        holder.wait(PATIENCE)
        with open_data_dir(tmp_path) as opened:
            assert opened.path == tmp_path


def test_a_path_that_cannot_be_a_directory_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match=r"file can't be used: "), open_data_dir(tmp_path / "file"):
        pytest.fail("opened")


def test_new_names_are_new_and_sort_by_time(data_dir):
    parts = [data_dir.new_part() for _ in range(20)]
    assert parts == sorted(set(parts))
    references = [data_dir.new_reference("main").name for _ in range(20)]
    assert references == sorted(set(references))


@pytest.mark.parametrize(
    "collector",
    ["main", "a b", "модель", "[x]*?", "%2F", "x" * MAX_ID_LENGTH, "м" * MAX_ID_LENGTH, "😀" * MAX_ID_LENGTH],
)
def test_any_id_makes_a_reference_in_its_directory(data_dir, collector):
    path = data_dir.new_reference(collector)
    assert path.parent == data_dir.path / "references"
    path.with_suffix(".tmp").touch()  # how it is first written
    path.touch()


@pytest.mark.parametrize("collector", ["a", "[x]*?", "a-b"])
def test_old_references_of_one_collector_are_removed(data_dir, collector):
    mine = _touched(*(data_dir.new_reference(collector) for _ in range(4)))
    others = _touched(*(data_dir.new_reference(f"{other}") for other in ("a-", "b", "aa", "x", "a-b-c") for _ in "123"))
    data_dir.remove_references(collector)
    assert sorted((data_dir.path / "references").iterdir()) == sorted([*mine[-KEPT_REFERENCES:], *others])


def test_parts_are_removed_even_if_they_are_gone_already(data_dir):
    part = data_dir.new_part()
    _touched(data_dir.path / part)
    data_dir.remove([part, "parts/gone.parquet"])
    assert list((data_dir.path / "parts").iterdir()) == []


def test_a_failed_batchs_folder_goes_with_its_last_part(data_dir):
    folder = data_dir.failed("b1")
    _touched(folder / "1.parquet", folder / "2.parquet", folder / "error.txt")
    data_dir.remove(["failed/b1/1.parquet"])
    assert folder.is_dir()
    data_dir.remove(["failed/b1/2.parquet"])
    assert not folder.exists()


def test_a_failed_batchs_folder_that_is_gone_already_is_no_matter(data_dir):
    """An operator may have cleaned up by hand."""
    data_dir.remove(["failed/gone/1.parquet"])
    assert list((data_dir.path / "failed").iterdir()) == []


def test_what_is_not_ours_in_failed_is_left_alone(data_dir):
    """An operator's notes stop neither the start nor a delivery."""
    folder = data_dir.failed("b1")
    [part, _, note, beside] = _touched(
        folder / "1.parquet", folder / "error.txt", folder / "note.txt", data_dir.path / "failed" / "note.txt"
    )
    data_dir.remove(["failed/b1/1.parquet"])
    data_dir.remove_orphans(set(), set(), set())
    assert (part.exists(), note.exists(), beside.exists()) == (False, True, True)


def test_a_snapshot_is_removed_with_the_datasets_beside_it(data_dir):
    kept = _touched(data_dir.snapshot("b10"))
    _touched(data_dir.snapshot("b1"), data_dir.path / "snapshots" / "b1.current.parquet")
    data_dir.remove_snapshot("b1")
    data_dir.remove_snapshot("gone")
    assert list((data_dir.path / "snapshots").iterdir()) == kept


def test_what_the_journal_does_not_know_is_an_orphan(data_dir):
    base = data_dir.path
    known = _touched(base / "parts" / "1.parquet", base / "failed" / "b" / "2.parquet", base / "snapshots" / "b.json")
    beside = _touched(base / "snapshots" / "b.current.parquet", base / "failed" / "b" / "error.txt", data_dir.journal)
    orphans = _touched(
        base / "parts" / "3.parquet",
        base / "parts" / "4.tmp",
        base / "failed" / "b" / "5.parquet",
        base / "snapshots" / "c.json",
        base / "snapshots" / "c.tmp",
    )
    assert sorted(data_dir.remove_orphans({"parts/1.parquet", "failed/b/2.parquet"}, {"b"}, set())) == sorted(orphans)
    assert not any(path.exists() for path in orphans)
    assert all(path.exists() for path in known + beside)


def test_a_directory_among_the_files_is_none_of_ours(data_dir):
    """A file system's own, or an administrator's, doesn't end the start."""
    made = [data_dir.path / name / "lost+found" for name in ("parts", "snapshots", "failed", "references")]
    for path in (*made, data_dir.path / "references" / "x.tmp"):
        path.mkdir()
    assert data_dir.remove_orphans(set(), set(), set()) == []
    assert all(path.is_dir() for path in made if path.parent.name != "failed")


def test_what_is_damaged_is_set_aside_under_a_name_that_says_what_it_was(data_dir):
    assert not (data_dir.path / "damaged").exists()  # where all is sound
    [part] = _touched(data_dir.path / "parts" / "1.parquet")
    moved = data_dir.set_aside(part, "part")
    assert (moved, moved.exists(), part.exists()) == (data_dir.path / "damaged" / "part-1.parquet", True, False)
    assert stat.S_IMODE(moved.parent.stat().st_mode) == 0o700
    assert data_dir.set_aside(part, "part") is None


def test_a_damaged_reference_is_moved_only_if_it_is_our_own(data_dir, tmp_path):
    own, users = _touched(data_dir.new_reference("main"), tmp_path / "reference.parquet")
    assert data_dir.set_aside_reference(users) is None
    assert data_dir.set_aside_reference(own).name == f"reference-{own.name}"
    assert (own.exists(), users.exists()) == (False, True)


def test_a_snapshot_that_has_changed_is_not_sound(data_dir):
    data_dir.snapshot("b1").write_bytes(b"{}")
    checksum = zlib.crc32(b"{}")
    assert data_dir.is_snapshot_sound(data_dir.snapshot("b1"), checksum)
    assert data_dir.is_snapshot_sound(data_dir.snapshot("b1"), None)  # of an older version
    data_dir.snapshot("b1").write_bytes(b"{")
    assert not data_dir.is_snapshot_sound(data_dir.snapshot("b1"), checksum)


def test_references_that_were_never_finished_are_orphans_too(data_dir):
    """A crash while a reference is written leaves its temporary file, which may be large."""
    left = data_dir.new_reference("main").with_suffix(".tmp")
    finished = data_dir.new_reference("main")
    _touched(left, finished)
    data_dir.remove_orphans(set(), set(), set())
    assert (left.exists(), finished.exists()) == (False, True)
