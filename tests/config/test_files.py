import pytest

from collector.config.files import parse_json, read_bytes
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


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{\n  // note\n  "a": 1\n}', 2),
        (b'{\n  "a": 1, /* note */\n  "b": 2}', 2),
        (b'{\n "a": 1 # note\n}', 2),
        (b"// note\n{}", 1),
    ],
)
def test_a_comment_is_told_as_one(content, line):
    assert _refusal(content).startswith(f"isn't JSON: JSON has no comments; take this one out, line {line}, ")
