"""Figures: what was measured of ours, of the original and of the limit, round by round, and what is asked of it."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Than = Literal["original", "limit", "nothing"]


@dataclass(frozen=True)
class Goal:
    """What ours should be: at least, or at most, ``bound`` times the other's, or (than nothing) ``bound`` itself."""

    bound: float
    than: Than = "nothing"
    is_floor: bool = False

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.is_floor else value <= self.bound


def at_least(bound: float, than: Than = "nothing") -> Goal:
    return Goal(bound, than, is_floor=True)


def at_most(bound: float, than: Than = "nothing") -> Goal:
    return Goal(bound, than)


@dataclass
class Row:
    """One line of the table: samples of ours, the original and the limit, each taken once in a round, in turn."""

    group: str
    name: str
    unit: str
    goal: Goal | None = None
    limit_is: str = ""
    note: str = ""
    ours: list[float] = field(default_factory=list)
    original: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)

    def add(self, ours: float, original: float | None = None, limit: float | None = None) -> None:
        """Take the figures of one round."""
        self.ours.append(ours)
        for samples, value in ((self.original, original), (self.limit, limit)):
            if value is not None:
                samples.append(value)

    @property
    def ratio(self) -> float | None:
        """Ours over the original's."""
        return median_ratio(self.ours, self.original)

    @property
    def of_limit(self) -> float | None:
        """Ours over the limit."""
        return median_ratio(self.ours, self.limit)

    @property
    def is_met(self) -> bool | None:
        """Tell whether the goal is met; None if there is none, or nothing to compare with."""
        if self.goal is None:
            return None
        value = {"original": self.ratio, "limit": self.of_limit, "nothing": median(self.ours)}[self.goal.than]
        return None if value is None else self.goal.is_met(value)

    def as_json(self) -> dict[str, Any]:
        medians = {name: median(getattr(self, name)) for name in ("ours", "original", "limit")}
        told = {"medians": medians, "ratio": self.ratio, "of_limit": self.of_limit, "is_met": self.is_met}
        return asdict(self) | told

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Row:
        given = {name: told[name] for name in cls.__dataclass_fields__}
        return cls(**given | {"goal": told["goal"] and Goal(**told["goal"])})


def together(rows: list[Row]) -> list[Row]:
    """Put the rows of a group beside each other, the groups in the order in which they came."""
    groups = list(dict.fromkeys(row.group for row in rows))
    return sorted(rows, key=lambda row: groups.index(row.group))


def spaced(number: float) -> str:
    """Set thousands apart by spaces, as the docs do."""
    return f"{number:,.0f}".replace(",", " ")


def median(samples: list[float]) -> float | None:
    return statistics.median(samples) if samples else None


def median_ratio(ours: list[float], others: list[float]) -> float | None:
    """Compare round by round, as the machine's speed drifts between rounds; a round without its other is left out."""
    return median([one / other for one, other in zip(ours, others, strict=False) if other])
