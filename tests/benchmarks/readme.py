"""The README's section "How fast", made of a run's JSON."""

from __future__ import annotations

from typing import Any

from .figures import Row
from .table import cells, remarks

_HEADINGS = ("measured", "ours", "original", "ratio", "limit", "goal", "")


def how_fast(run: dict[str, Any]) -> str:
    """Make the section in Markdown; what misses its goal stands in bold."""
    rows = [Row.from_json(told) for told in run["rows"]]
    lines = [_line(_HEADINGS), _line(["---", *["---:"] * 5, "---"]), *(_line(_marked(row)) for row in rows)]
    listed = [f"- {remark}" for remark in remarks(rows)]
    return "\n".join(["## How fast", "", _introduction(run, rows), "", *lines, "", *listed, ""])


def _introduction(run: dict[str, Any], rows: list[Row]) -> str:
    with_goal = [row for row in rows if row.is_met is not None]
    met = sum(bool(row.is_met) for row in with_goal)
    machine = run["machine"]
    return (
        f"Measured by `nox -s bench` on {machine['cpus']} cores ({machine['processor']}), Python {machine['python']}, "
        f"Evidently {machine['evidently']}: our daemon and the original collector in turn, medians of {run['rounds']} "
        f"rounds, ratios round by round. {met} of {len(with_goal)} goals are met. What each limit is stands below."
    )


def _marked(row: Row) -> list[str]:
    told = cells(row)
    return [*told[:-1], f"**{told[-1]}**"] if row.is_met is False else told


def _line(told: Any) -> str:
    return f"| {' | '.join(told)} |"
