"""The table of all figures, for the terminal."""

from __future__ import annotations

from rich.table import Table

from .figures import Goal, Row, median, spaced

# Units in which small figures are told in smaller ones.
_SMALLER = {"s": ((1, 1, "s"), (1e-3, 1e3, "ms"), (0, 1e6, "µs"))}


def make_table(rows: list[Row]) -> Table:
    """Make one table of all rows: name, ours, original, ratio, limit, goal, met or missed."""
    table = Table(title="evidently-collector beside the original", title_justify="left")
    table.add_column("measured")
    for heading in ("ours", "original", "ratio", "limit", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("")
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            table.add_section()
        table.add_row(*cells(row), style="" if row.is_met is not False else "yellow")
    table.caption, table.caption_justify = "\n".join(remarks(rows)), "left"
    return table


def remarks(rows: list[Row]) -> list[str]:
    """Say of each group what its limit is, and what else there is to know."""
    told = (
        f"{row.group}: {'limit: ' * is_limit}{remark}"
        for row in rows
        for is_limit, remark in ((True, row.limit_is), (False, row.note))
        if remark
    )
    return list(dict.fromkeys(told))


def cells(row: Row) -> list[str]:
    """Spell a row out; the same cells stand in the terminal and in the README."""
    return [
        f"{row.group}: {row.name}",
        *(told(median(samples), row.unit) for samples in (row.ours, row.original)),
        "" if row.ratio is None else f"{_number(row.ratio)}x",
        told(median(row.limit), row.unit),
        goal_as_text(row.goal, row.unit),
        {True: "met", False: "missed", None: ""}[row.is_met],
    ]


def told(value: float | None, unit: str) -> str:
    """Spell a figure with its unit; thin out digits that no round repeats."""
    if value is None:
        return ""
    for bound, factor, smaller in _SMALLER.get(unit, ()):
        if abs(value) >= bound:
            return f"{_number(value * factor)} {smaller}"
    return f"{_number(value)} {unit}"


def goal_as_text(goal: Goal | None, unit: str) -> str:
    if goal is None:
        return ""
    sign = "≥" if goal.is_floor else "≤"
    if goal.than == "nothing":
        return f"{sign} {told(goal.bound, unit)}"
    return f"{sign} {goal.bound:g}x {'original' if goal.than == 'original' else 'limit'}"


def _number(value: float) -> str:
    """Give three digits; thousands are set apart by spaces, as in the rest of the docs."""
    if abs(value) >= 100:
        return spaced(round(value, 3 - len(str(int(abs(value))))))
    return f"{value:.3g}"
