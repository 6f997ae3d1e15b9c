"""Concerns: what needs a person's attention, worst first; what many collectors share stands there once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

# The worst first. Troubles of the collector come before what its data say.
KINDS = (
    "disk",
    "config",
    "crashed",
    "misconfigured",
    "undelivered",
    "skipping",
    "failed",
    "error",
    "tests",
    "warned",
    "mismatch",
    "uncomputed",
    "drift",
    "segments",
)
_BAD = frozenset({"disk", "config", "crashed", "misconfigured", "skipping", "failed", "tests"})


@dataclass(frozen=True)
class Concern:
    """One thing that is wrong: with which collector ("" for the whole service), what, why, since when, what to do."""

    kind: str
    collector: str
    what: str
    why: str = ""
    todo: str = ""
    since: float | None = None

    @property
    def tone(self) -> str:
        """How bad it is, as colours have it."""
        return "bad" if self.kind in _BAD else "warn"


@dataclass(frozen=True)
class Group:
    """The same concern of several collectors; ``first`` has been there the longest."""

    first: Concern
    collectors: tuple[str, ...]

    @property
    def since(self) -> float | None:
        """When the first of them began."""
        return self.first.since


def grouped(concerns: Iterable[Concern]) -> list[Group]:
    """Put the same concerns of several collectors together, the worst first, and of these the oldest."""
    groups: defaultdict[tuple[str, str], list[Concern]] = defaultdict(list)
    for concern in concerns:
        alike = (
            concern.why if concern.kind in {"undelivered", "crashed", "error", "misconfigured"} else concern.collector
        )
        groups[concern.kind, alike or concern.what].append(concern)
    made = [_group(found) for found in groups.values()]
    return sorted(made, key=lambda group: (KINDS.index(group.first.kind), group.since or 0))


def _group(concerns: list[Concern]) -> Group:
    first = min(concerns, key=lambda concern: concern.since or 0)
    return Group(first, tuple(concern.collector for concern in concerns))
