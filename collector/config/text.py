"""The text of a JSON document: where its values stand, and how one is changed while the others stay as typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = re.compile(r"\n([ \t]+)\S")


class _Member(NamedTuple):
    """A member of an object or an element of an array: its key, its start, and where its value begins and ends."""

    key: str | int
    start: int
    value: int
    end: int


def place_of(text: str, path: Sequence[str | int]) -> tuple[int, int]:
    """Return line and column, from 1, of the value at a path; of the deepest one on the way there if it isn't there."""
    place, _ = _walk(text, path)
    return text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)


def with_member(text: str, path: Sequence[str | int], value: Any) -> str:
    """Set the member at a path of objects; it comes last if it is new, and so do objects on the way to it."""
    place, found = _walk(text, path)
    if found == len(path):
        return text[:place] + _written(text, value, found) + text[_end(text, place) :]
    for missing in reversed(path[found + 1 :]):
        value = {missing: value}
    return _inserted(text, place, path[found], value, found + 1)


def without_member(text: str, path: Sequence[str]) -> str:
    """Take out the member at a path of objects, which is there."""
    place, _ = _walk(text, path[:-1])
    members = list(_members(text, place))
    index = [member.key for member in members].index(path[-1])
    if len(members) == 1:
        return f"{text[:place]}{{}}{text[_end(text, place) :]}"
    if index:
        return text[: members[index - 1].end] + text[members[index].end :]
    return text[: members[0].start] + text[members[1].start :]


def with_new_key(text: str, path: Sequence[str], key: str) -> str:
    """Change the key of the member at a path of objects, which is there; it stays where it is."""
    place, _ = _walk(text, path[:-1])
    start = next(member.start for member in _members(text, place) if member.key == path[-1])
    return text[:start] + json.dumps(key, ensure_ascii=False) + text[_end(text, start) :]


def has_member(text: str, path: Sequence[str]) -> bool:
    """Tell whether there is a member at a path of objects."""
    return _walk(text, path)[1] == len(path)


def _walk(text: str, path: Sequence[str | int]) -> tuple[int, int]:
    """Follow a path as far as it exists; return where the value there begins, and how many steps were taken."""
    place = _begin(text, 0)
    for depth, part in enumerate(path):
        found = next((member for member in _members(text, place) if member.key == part), None)
        if found is None:
            return place, depth
        place = found.value
    return place, len(path)


def _inserted(text: str, place: int, key: str | int, value: Any, depth: int) -> str:
    members = list(_members(text, place))
    line = _line_break(text, depth)
    member = f"{json.dumps(key, ensure_ascii=False)}: {_written(text, value, depth)}"
    if members:
        return f"{text[: members[-1].end]},{line or ' '}{member}{text[members[-1].end :]}"
    return f"{text[:place]}{{{line}{member}{_line_break(text, depth - 1)}}}{text[_end(text, place) :]}"


def _written(text: str, value: Any, depth: int) -> str:
    """Write a value in the document's style: with its indentation, or in one line."""
    indent = _indent(text)
    return json.dumps(value, indent=indent or None, ensure_ascii=False).replace("\n", _line_break(text, depth))


def _line_break(text: str, depth: int) -> str:
    indent = _indent(text)
    return f"\n{indent * depth}" if indent else ""


def _indent(text: str) -> str:
    found = _INDENT.search(text)
    return found[1] if found else ""


def _members(text: str, place: int) -> Iterator[_Member]:
    """Return the members of the object or array at a place; a value of another kind has none."""
    if text[place] not in "{[":
        return
    is_object, index, place = text[place] == "{", 0, place + 1
    while text[start := _begin(text, place)] not in "}]":
        if text[start] == ",":
            place = start + 1
            continue
        key: str | int = index
        value = start
        if is_object:
            end = _end(text, start)
            key, value = json.loads(text[start:end]), _begin(text, _begin(text, end) + 1)
        place = _end(text, value)
        yield _Member(key, start, value, place)
        index += 1


def _begin(text: str, place: int) -> int:
    """Return where the next token begins."""
    found = _TOKEN.search(text, place)
    return found.start() if found else len(text)


def _end(text: str, place: int) -> int:
    """Return where the value at a place ends."""
    depth = 0
    for token in _TOKEN.finditer(text, place):
        depth += (token[0] in ("{", "[")) - (token[0] in ("}", "]"))
        if depth == 0:
            return token.end()
    return len(text)
