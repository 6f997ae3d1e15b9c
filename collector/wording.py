"""Words that messages share: counts and lengths of time, kinds of JSON values, names nearly known, others' errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

_KINDS = {
    type(None): "null",
    bool: "a boolean",
    str: "a string",
    int: "a number",
    float: "a number",
    dict: "an object",
    list: "a list",
}
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
# The segment of all rows that belong to no other.
OTHER_SEGMENT = "other"
# A longer name isn't a typing mistake, and comparing takes time by the square of its length.
_MAX_NAME = 100
# Characters of a batch's id that tell it from its neighbours: a UUIDv7 begins with the time.
_SHORT_ID = 8


def json_kind(value: object) -> str:
    """Return what JSON calls a value, with its article: "a list"."""
    return _KINDS.get(type(value), type(value).__name__)


def short_id(batch_id: str) -> str:
    """Return a batch's id as people are shown it: "…1a2b3c4d"."""
    return f"…{batch_id[-_SHORT_ID:]}"


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


def no_rows(reference: str) -> str:
    """Say that a reference has no rows."""
    return f"{reference} has no rows; a report needs at least one"


def no_table(reference: str, error: BaseException) -> str:
    """Say that a reference isn't a table."""
    return f"{reference} isn't a parquet table ({first_line(error)}); write it with DataFrame.to_parquet"


def extra(name: str) -> str:
    """Say how an extra of ours is installed."""
    return f"an extra: pip install 'evidently-collector[{name}]'"


def no_collector(whose: str) -> str:
    """Say that something else answers in the place of a service."""
    return f"{whose} answers, but not as a collector service does"


def lasting(seconds: float) -> str:
    """Write a length of time in one unit: 45s, 12m, 3h, 5d."""
    left = max(0, int(seconds))
    length, unit = next(((length, unit) for length, unit in _UNITS if left >= length), _UNITS[-1])
    return f"{left // length}{unit}"


def counted(count: int, noun: str) -> str:
    """Count things: 1 batch, 2 batches."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('ch') else 's'}"


def listed(words: Sequence[str], most: int = 5, total: int = 0) -> str:
    """List the first few, and count the rest; nothing if there are no words at all."""
    if not words:
        return ""
    more = max(len(words), total) - min(len(words), most)
    return ", ".join(words) if more <= 0 else f"{', '.join(words[:most])}, and {more} more"
