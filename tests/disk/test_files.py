import json
import os
import stat
from pathlib import Path

import pytest

from collector.disk.files import link_or_copy, sync_directory, write_whole, written_beside


@pytest.mark.parametrize("before", [None, 0o644], ids=["new", "over a readable one"])
def test_a_written_file_is_whole_and_its_owners_only(tmp_path, before):
    path = tmp_path / "config.json"
    if before is not None:
        path.write_text("old and longer than the new")
        path.chmod(before)
    write_whole(path, '{"a": "м"}'.encode())
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "м"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "config.json"
    link = tmp_path / "config.json"
    link.symlink_to(target)
    write_whole(link, b"{}")
    assert (link.is_symlink(), target.read_text(), stat.S_IMODE(target.stat().st_mode)) == (True, "{}", 0o600)


def test_a_reader_sees_the_old_or_the_new_but_never_half(tmp_path):
    """The old file's inode keeps the old text: the new one was renamed over it, not written into it."""
    path = tmp_path / "config.json"
    write_whole(path, b"old")
    with path.open() as reader:
        write_whole(path, b"new and longer")
        assert reader.read() == "old"
    assert path.read_text() == "new and longer"


def test_the_text_is_on_the_disk_before_its_name_is_and_then_the_name_too(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    write_whole(path, b"old")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append((os.fstat(opened), path.read_text())))
    write_whole(path, b"new")
    assert [(stat.S_ISDIR(status.st_mode), text) for status, text in synced] == [(False, "old"), (True, "new")]
    assert synced[0][0].st_size == len("new")


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "config.json"
    write_whole(path, b"old")
    with pytest.raises(ZeroDivisionError):
        write_whole(path, lambda file: (file.write(b"half"), 1 / 0))
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("config.json", "old")]


def test_a_directory_is_synced_and_what_is_none_is_an_error(tmp_path):
    sync_directory(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")


def test_a_file_is_linked_or_copied_where_links_are_not(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_text("all")
    link_or_copy(source, tmp_path / "linked")
    monkeypatch.setattr(Path, "hardlink_to", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    link_or_copy(source, tmp_path / "copied")
    assert source.stat().st_nlink == 2
    assert (tmp_path / "copied").read_text() == "all"


def test_what_is_written_beside_is_gone_unless_it_is_taken(tmp_path):
    with written_beside(tmp_path, b"all", 0o640) as scratch:
        assert (scratch.read_bytes(), scratch.name[0], stat.S_IMODE(scratch.stat().st_mode)) == (b"all", ".", 0o640)
    assert not list(tmp_path.iterdir())
