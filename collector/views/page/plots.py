"""Plots: series of numbers as points in an SVG's coordinates; the templates draw them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from collector.status.findings import number


@dataclass(frozen=True)
class Point:
    """One number of a series, what it is about, and whether it is good."""

    time: float
    value: float
    is_bad: bool = False


@dataclass(frozen=True)
class Series:
    """A named row of numbers, oldest first."""

    name: str
    points: tuple[Point, ...]
    is_share: bool = False


@dataclass(frozen=True)
class Mark:
    """A point in the picture."""

    x: int
    y: float
    point: Point


@dataclass(frozen=True)
class Plot:
    """A series in a picture of ``width`` by ``height``; ``path`` joins its marks."""

    series: Series
    width: int
    height: int
    marks: tuple[Mark, ...]
    path: str
    low: str
    high: str

    def said(self, mark: Mark) -> str:
        """Return what a mark says."""
        return shown(mark.point.value, self.series)

    @property
    def last(self) -> str:
        """What the newest mark says."""
        return self.said(self.marks[-1])

    @property
    def summary(self) -> str:
        """What the plot shows, in words for people who can't see it."""
        series, values = self.series, [point.value for point in self.series.points]
        bounds = f"between {shown(min(values), series)} and {shown(max(values), series)}"
        return f"{series.name}, last {len(values)}: now {shown(values[-1], series)}, {bounds}"


def plot(series: Series, width: int, height: int, margin: int = 3) -> Plot | None:
    """Lay out a series from left to right; None if it has no number."""
    points = [point for point in series.points if math.isfinite(point.value)]
    if not points:
        return None
    series = Series(series.name, tuple(points), series.is_share)
    low, high = _bounds(series)
    across, up = (width - 2 * margin) / max(1, len(points) - 1), (height - 2 * margin) / (high - low)

    def y_of(value: float) -> float:
        return round(height - margin - (value - low) * up, 1)

    marks = tuple(Mark(round(margin + at * across), y_of(point.value), point) for at, point in enumerate(points))
    path = "M" + "L".join([f"{mark.x} {mark.y}" for mark in marks])
    return Plot(series, width, height, marks, path, shown(low, series), shown(high, series))


def shown(value: float, series: Series) -> str:
    """Write a number as its series has it."""
    return f"{value:.0%}" if series.is_share else number(value)


def _bounds(series: Series) -> tuple[float, float]:
    if series.is_share:
        return 0.0, 1.0
    values = [point.value for point in series.points]
    low, high = min(values), max(values)
    if low == high:  # a flat line lies in the middle
        room = abs(low) or 1.0
        return low - room, high + room
    return low, high
