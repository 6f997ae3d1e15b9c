import json
import os
import stat

import pytest

from collector.config.files import parse_json, read_bytes, sync_directory, write_atomically
from collector.errors import ConfigError


def _refusal(content):
    with pytest.raises(ConfigError) as caught:
        parse_json(content, "config.json")
    assert caught.value.source == "config.json"
    return str(caught.value).removeprefix("config.json: ")


def test_json_is_read_with_a_byte_order_mark_and_numbers_that_json_has_not():
    body = b'\xef\xbb\xbf{"a": [Infinity, -Infinity, "\xd0\xbc"]}'
    assert parse_json(body, "") == {"a": [float("inf"), float("-inf"), "м"]}


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'{\n  "a": 1,\n  "b" 2\n}', "line 3, column 7"),
        (b"", "line 1, column 1"),
        (b'{"a": 1} x', "line 1, column 10"),
    ],
)
def test_what_is_not_json_is_told_with_line_and_column(content, where):
    assert _refusal(content).endswith(where)


@pytest.mark.parametrize("content", [b'{"a": 1, "a": 1}', b'[{"b": {"c": 0, "a": 1, "d": 2, "a": 3}}]'])
def test_a_key_that_stands_twice_is_refused_at_any_depth(content):
    assert "the key 'a' stands twice" in _refusal(content)


def test_the_same_key_in_two_objects_is_fine():
    assert parse_json(b'[{"a": 1}, {"a": {"a": 2}}]', "") == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize(
    ("content", "told"), [(b"[" * 100_000, "is nested too deeply"), (b'{"a": "\xff"}', "can't be read")]
)
def test_what_breaks_the_parser_is_a_config_error_too(content, told):
    assert told in _refusal(content)


def test_a_missing_file_is_told_apart_from_one_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="can't be read"):
        read_bytes(tmp_path)


@pytest.mark.parametrize("before", [None, 0o644], ids=["new", "over a readable one"])
def test_a_written_file_is_whole_and_its_owners_only(tmp_path, before):
    path = tmp_path / "config.json"
    if before is not None:
        path.write_text("old and longer than the new")
        path.chmod(before)
    write_atomically(path, '{"a": "м"}')
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "м"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_left_over_temporary_file_does_not_lend_its_mode(tmp_path):
    """One may be left by a killed process whose id has come again."""
    path = tmp_path / "config.json"
    left = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    left.touch()
    left.chmod(0o644)
    write_atomically(path, "{}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "config.json"
    link = tmp_path / "config.json"
    link.symlink_to(target)
    write_atomically(link, "{}")
    assert (link.is_symlink(), target.read_text(), stat.S_IMODE(target.stat().st_mode)) == (True, "{}", 0o600)


def test_a_reader_sees_the_old_or_the_new_but_never_half(tmp_path):
    """The old file's inode keeps the old text: the new one was renamed over it, not written into it."""
    path = tmp_path / "config.json"
    write_atomically(path, "old")
    with path.open() as reader:
        write_atomically(path, "new and longer")
        assert reader.read() == "old"
    assert path.read_text() == "new and longer"


def test_the_text_is_on_the_disk_before_its_name_is_and_then_the_name_too(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    write_atomically(path, "old")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append((os.fstat(opened), path.read_text())))
    write_atomically(path, "new")
    assert [(stat.S_ISDIR(status.st_mode), text) for status, text in synced] == [(False, "old"), (True, "new")]
    assert synced[0][0].st_size == len("new")


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "config.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "lone surrogate: \ud800")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("config.json", "old")]


def test_a_directory_is_synced_and_what_is_none_is_an_error(tmp_path):
    sync_directory(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_directory(tmp_path / "file")
