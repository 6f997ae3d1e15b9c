"""Figures of columns filled by example: for each, plotly checks every word anew, though only the numbers are others.

The first figure of a kind is drawn by plotly. What it gave is kept without its numbers, and the next ones get theirs
put in, converted by plotly. An example that doesn't give plotly's own text is of no use, and plotly draws all of its
kind.
"""

import importlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.io
from evidently.legacy.metric_results import HistogramData

from collector.evaluation.fast.dump import Once
from collector.evaluation.fast.known import Shortcut

_Given = dict[str, Any]
_Arrays = list[tuple[Any, Any]]

_DRAWING = "evidently.legacy.utils.visualizations:"
_STATISTICS = "evidently.metrics.column_statistics:"
_TABLE = "evidently.legacy.metrics.data_drift.data_drift_table:"
# The functions that call the replaced ones, and want nothing of a figure but its JSON; and how plotly takes arrays.
_AROUND = (
    f"{_STATISTICS}distribution",
    f"{_STATISTICS}ValueDriftCalculation._render",
    f"{_TABLE}DataDriftTableRenderer._generate_column_params",
    "evidently.legacy.renderers.html_widgets:GraphData.figure",
    "evidently.legacy.renderers.html_widgets:plotly_figure",
    "_plotly_utils.basevalidators:DataArrayValidator.validate_coerce",
)
_HISTOGRAM = "evidently.legacy.metric_results:HistogramData.from_distribution"
_MAX_EXAMPLES = 200  # each some 30 kB


class _Content(NamedTuple):
    """What a figure is made of: x and y of each trace, the title of its axis, and what makes it another kind."""

    arrays: _Arrays
    title: str | None
    words: _Given


class _Example(NamedTuple):
    traces: Sequence[_Given]
    layout: _Given


class _Drawn:
    """A figure whose JSON is known, and of which nothing else is asked."""

    def __init__(self, content: _Given) -> None:
        self._content = content

    def to_plotly_json(self) -> _Given:
        return self._content


class ByExample:
    """One of Evidently's functions that draw. Examples last as long as the process."""

    def __init__(self, content_of: Callable[[_Given], _Content | None]) -> None:
        self._content_of = content_of
        self._examples: dict[Any, _Example | None] = {}

    def __call__(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function's replacement for one report, which reuses a figure that is drawn again."""
        drawn: dict[Any, tuple[_Drawn, _Given]] = {}

        def draw(**given: Any) -> Any:
            key = _identity(given)
            if key in drawn:
                return drawn[key][0]
            figure = fill(given)
            if isinstance(figure, _Drawn):
                drawn[key] = (figure, given)  # keeps alive what the key names by its place in memory
            return figure

        def fill(given: _Given) -> Any:
            content = self._content_of(given)
            if content is None:
                return original(**given)
            key = _kind_of(content)
            if key not in self._examples:
                return self._learn(key, content, original(**given))
            example = self._examples[key]
            if example is None:
                return original(**given)
            return _Drawn({name: Once(part) for name, part in _filled(example, content).items()})

        return draw

    def _learn(self, key: Any, content: _Content, figure: Any) -> Any:
        if len(self._examples) >= _MAX_EXAMPLES:
            self._examples.clear()
        drawn = figure.to_plotly_json()
        example = _Example(drawn["data"], drawn["layout"])
        try:
            is_same = _text(_filled(example, content)) == _text(drawn)
        except (LookupError, TypeError, ValueError):
            is_same = False
        self._examples[key] = _kept(example) if is_same else None
        return figure


def _identity(given: _Given) -> Any:
    held = (HistogramData, dict)
    return tuple((name, id(one) if isinstance(one, held) else repr(one)) for name, one in given.items())


def _kept(example: _Example) -> _Example:
    """Drop the arrays; and have the template, which is most of a figure's text, written only once in the process."""
    traces = [trace | {"x": None, "y": None} for trace in example.traces]
    return _Example(traces, {name: Once(part) if name == "template" else part for name, part in example.layout.items()})


def _kind_of(content: _Content) -> Any:
    kinds = tuple((type(one), getattr(one, "dtype", None), len(one) > 0) for pair in content.arrays for one in pair)
    return (repr(sorted(content.words.items())), content.title is None, kinds, plotly.io.templates.default)


def _filled(example: _Example, content: _Content) -> _Given:
    """Put a figure's own values into an example. All else is shared, because nobody changes what is to be dumped."""
    traces = [
        trace | {"x": _coerced(x), "y": _coerced(y)}
        for trace, (x, y) in zip(example.traces, content.arrays, strict=True)
    ]
    layout = example.layout
    if content.title is not None:
        axis = layout["yaxis"]
        layout = layout | {"yaxis": axis | {"title": axis["title"] | {"text": content.title}}}
    return {"data": traces, "layout": layout}


def _coerced(values: Any) -> Any:
    """Return an array as plotly stores it. plotly keeps a list as it is, after a look at each value."""
    return values if type(values) is list else _array().validate_coerce(values)


@cache
def _array() -> Any:
    validators = importlib.import_module("_plotly_utils.basevalidators")
    return validators.DataArrayValidator(plotly_name="x", parent_name="")


def _text(figure: _Given) -> str:
    return json.dumps(figure, default=lambda value: [str(getattr(value, "dtype", type(value))), repr(value)])


def _of_histograms(given: _Given) -> _Content | None:
    """Read the arguments of ``plot_distr_with_perc_button``: counts of each side, and their shares in percent."""
    words = dict(given)
    if words.get("to_json", True):
        return None
    sides = [one for one in (words.pop("hist_curr"), words.pop("hist_ref", None)) if one is not None]
    arrays: _Arrays = []
    for side in sides:
        x, count = _plain(side.x), _plain(side.count)
        arrays += [(x, count), (x, (count / count.sum()) * 100)]
    return _Content(arrays, None, words)


def _plain(values: Any) -> Any:
    """Return numbers as a numpy array, which is five times as fast here as a series."""
    return values.to_numpy() if values.dtype in (np.float64, np.int64) else values


def _of_means(given: _Given) -> _Content | None:
    """Read the arguments of ``plot_agg_line_data``: means over time with a band about them, and the reference's."""
    words = dict(given)
    sides, line, std, title = (words.pop(name) for name in ("curr_data", "line", "std", "yaxis_name"))
    if words.get("return_json", True) or words["ref_data"] is not None or len(sides) != 1 or None in (line, std):
        return None
    [(name, means)] = sides.items()
    x, mean, spread = _plain(means["per"]), _plain(means["mean"]), _plain(means["std"].fillna(0))
    first, last = _array().validate_coerce([x.min(), x.max()])
    there = x.tolist()
    band = (mean + spread).tolist() + (mean - spread).tolist()[::-1]
    arrays: _Arrays = [
        (x, [line] * len(x)),
        ([first, last, last, first], [line + std, line + std, line - std, line - std]),
        (there + there[::-1], band),
        (x, mean),
    ]
    return _Content(arrays, title, words | {"name": name})


def _series_once(_: Any) -> Any:
    """Make each series of a histogram once a report, unchecked by pydantic: each is shown at least twice."""
    made: dict[Any, tuple[Any, Any]] = {}

    def from_distribution(cls: Any, dist: Any, name: str | None = None) -> Any:
        if dist is None:
            return None
        key = (cls, id(dist), name)
        if key not in made:
            made[key] = (cls.construct(x=pd.Series(dist.x), count=pd.Series(dist.y), name=name), dist)
        return made[key][0]

    return classmethod(from_distribution)


SHORTCUTS = (
    Shortcut(
        name="histograms",
        places=(_HISTOGRAM,),
        read=(_HISTOGRAM, *_AROUND),
        digests=frozenset({"00993516f982c32f"}),
        make=_series_once,
    ),
    Shortcut(
        name="plots of distributions",
        places=(f"{_STATISTICS}plot_distr_with_perc_button", f"{_TABLE}plot_distr_with_perc_button"),
        read=(
            f"{_DRAWING}plot_distr_with_perc_button",
            f"{_DRAWING}add_traces_with_perc",
            f"{_DRAWING}collect_updatemenus",
            *_AROUND,
        ),
        digests=frozenset({"a0c5694bd9876712"}),
        make=ByExample(_of_histograms),
    ),
    Shortcut(
        name="plots over time",
        places=(f"{_STATISTICS}plot_agg_line_data", f"{_TABLE}plot_agg_line_data"),
        read=(
            f"{_DRAWING}plot_agg_line_data",
            f"{_DRAWING}collect_traces",
            f"{_DRAWING}rect_trace",
            f"{_DRAWING}get_traces",
            *_AROUND,
        ),
        digests=frozenset({"4d263e9c8a062494"}),
        make=ByExample(_of_means),
    ),
)
