"""Triggers as they are written on a command line."""

from __future__ import annotations

import re
from typing import Any

from collector.config.durations import seconds_of
from collector.errors import CommandError

_HINT = "write it as rows:500 or every:1h, or both with a comma, or cron:0 9 * * * Europe/Berlin"
_CRON = re.compile(r"cron:\s*((?:\S+\s+){4}\S+)(?:\s+([A-Z]\w*(?:/\S+)?))?")
_ROWS = re.compile(r"rows:(\d[\d_]*)")


def trigger_of(text: str) -> dict[str, Any]:
    """Return the trigger of a config that is meant; raise CommandError if none is."""
    text = text.strip()
    if found := _CRON.fullmatch(text):
        zone = {"timezone": found[2]} if found[2] else {}
        return {"type": "CronTrigger", "schedule": found[1], **zone}
    parts = [_rows(part) or _every(part) for part in text.split(",")]
    match [part for part in parts if part is not None]:
        case [trigger] if len(parts) == 1:
            return trigger
        case [{"rows_count": _} as rows, {"interval": _} as every] | [
            {"interval": _} as every,
            {"rows_count": _} as rows,
        ]:
            return {"type": "RowsCountOrIntervalTrigger", "rows_count_trigger": rows, "interval_trigger": every}
    raise CommandError(f"'{text}' isn't a trigger", _HINT)


def _rows(text: str) -> dict[str, Any] | None:
    found = _ROWS.fullmatch(text.strip())
    return found and {"type": "RowsCountTrigger", "rows_count": int(found[1])}


def _every(text: str) -> dict[str, Any] | None:
    name, _, duration = text.strip().partition(":")
    try:
        return {"type": "IntervalTrigger", "interval": seconds_of(duration)} if name == "every" else None
    except ValueError:
        return None
