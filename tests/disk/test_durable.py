import pytest

from collector.disk import durable


def test_a_file_is_replaced_whole_with_mode_0600_and_nothing_else_stays(tmp_path):
    path = tmp_path / "file"
    path.write_text("old and longer")
    durable.replace(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (b"new", 0o600, [path])


def test_a_failure_leaves_the_old_file_and_no_scratch(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(durable.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        durable.replace(path, b"new")
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])
