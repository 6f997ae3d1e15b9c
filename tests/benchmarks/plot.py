"""Plots of growth: small SVG pictures, as no library that we depend on draws any without a browser."""

from __future__ import annotations

import math
from typing import Any

from .figures import spaced

_WIDTH, _HEIGHT, _LEFT, _TOP = 300, 160, 60, 40
_CURVES = (
    ("rows", "seconds", "s a row, as rows grow"),
    ("rows", "megabytes", "MB, as rows grow"),
    ("collectors", "start", "s to start, as collectors grow"),
    ("collectors", "megabytes", "MB, as collectors grow"),
    ("collectors", "idle", "% of a core when idle, as collectors grow"),
    ("collectors", "lateness", "s of lateness, as collectors grow"),
)


def growth_svg(growth: dict[str, list[dict[str, Any]]]) -> str:
    """Draw each figure of ``growth`` over the count of rows or collectors, from zero up."""
    there = [curve for curve in _CURVES if growth.get(curve[0])]
    plots = [_plot(place, *_points(growth[kind], kind, what), title) for place, (kind, what, title) in enumerate(there)]
    width, height = 2 * (_WIDTH + 2 * _LEFT), math.ceil(len(plots) / 2) * (_HEIGHT + 2 * _TOP)
    style = "text { font: 12px sans-serif; fill: #777 } path { fill: none; stroke: #36c; stroke-width: 2 }"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><style>{style}</style>'
    return "\n".join([head, *plots, "</svg>", ""])


def _points(points: list[dict[str, Any]], kind: str, what: str) -> tuple[list[int], list[float]]:
    return [point[kind] for point in points], [point[what] for point in points]


def _plot(place: int, counts: list[int], values: list[float], title: str) -> str:
    left, top = _LEFT + place % 2 * (_WIDTH + 2 * _LEFT), _TOP + place // 2 * (_HEIGHT + 2 * _TOP)
    highest = max(values) or 1.0
    span = math.log10(counts[-1] / counts[0]) or 1.0
    xs = [left + _WIDTH * math.log10(count / counts[0]) / span for count in counts]
    ys = [top + _HEIGHT * (1 - value / highest) for value in values]
    line = "M" + " L".join(f"{x:.0f},{y:.0f}" for x, y in zip(xs, ys, strict=True))
    axis = f"M{left},{top} V{top + _HEIGHT} H{left + _WIDTH}"
    ticks = [_text(x, top + _HEIGHT + 16, spaced(count)) for x, count in zip(xs, counts, strict=True)]
    marks = [_text(x, y - 6, f"{value:.3g}") for x, y, value in zip(xs, ys, values, strict=True)]
    paths = f'<path d="{axis}" style="stroke: #999; stroke-width: 1"/><path d="{line}"/>'
    return "".join([paths, _text(left + _WIDTH / 2, top - 20, title), *ticks, *marks])


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle">{text}</text>'
