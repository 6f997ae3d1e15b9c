"""Words that messages share: for kinds of JSON values, for names that are nearly known, for other people's errors."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_KINDS = {
    type(None): "null",
    bool: "a boolean",
    str: "a string",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
}
# A longer one is nobody's slip of the pen, and comparing takes the square of its length.
_MAX_NAME = 100


def json_kind(value: object) -> str:
    """Return what JSON calls a value, with its article: "a list"."""
    return _KINDS.get(type(value), type(value).__name__)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was probably meant; None if none is near."""
    return next(iter(difflib.get_close_matches(name[:_MAX_NAME], list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question after the known name that was probably meant, or a list of them all."""
    known = list(known)
    near = nearest(name, known)
    return f"known here: {', '.join(known)}" if near is None else f"did you mean '{near}'?"


def first_line(error: BaseException) -> str:
    """Return what another library's error says, without the lines of detail that some add."""
    return str(error).partition("\n")[0]
