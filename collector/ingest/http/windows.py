"""Windows: which time a whole batch is of, as the query of its request says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.config.periods import DAY
from collector.errors import BadBody
from collector.status.telling import iso

# Of an offset in a query that wasn't encoded: there "+" means a space.
_SPACE_FOR_PLUS = re.compile(r"(T.*) (\d\d:?\d\d)$")
_TRUE, _FALSE = frozenset({"", "1", "true"}), frozenset({"0", "false"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The window that a whole batch is said to be of, in Unix seconds, and how it is to be taken."""

    start: float
    end: float
    is_backfill: bool = False
    is_replacement: bool = False


def read_query(query: Mapping[str, str], now: float) -> Asked:
    """Read the query's window and options; raise BadBody, which says what to write."""
    start, end = _moment("start", query), _moment("end", query)
    if end <= start:
        raise BadBody(f"'end' ({iso(end)}) must come after 'start' ({iso(start)})")
    if start < 0 or end > now + DAY:
        raise BadBody("a batch's window lies between 1970 and tomorrow; correct 'start' and 'end'")
    return Asked(start, end, _is_set("backfill", query), _is_set("replace", query))


def _moment(name: str, query: Mapping[str, str]) -> float:
    text = query.get(name)
    if text is None:
        raise BadBody(f"'{name}' is missing; write ?start=2026-03-01T00:00:00Z&end=2026-03-02T00:00:00Z")
    try:
        read = datetime.fromisoformat(_SPACE_FOR_PLUS.sub(r"\1+\2", text.strip()))
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadBody(
            f"'{name}' isn't a time in ISO 8601; write 2026-03-01, 2026-03-01T00:00:00Z or 2026-03-01T00:00:00%2B01:00"
        ) from error


def _is_set(name: str, query: Mapping[str, str]) -> bool:
    text = query.get(name, "false").lower()
    if text not in _TRUE | _FALSE:
        raise BadBody(f"'{name}' is true or false")
    return text in _TRUE
