"""What a collector's dashboard shows, derived from its first snapshot: a panel for each number that its report has.

Only the JSON of the snapshot's file is read, so nothing of Evidently's is needed. A panel names metrics by their type
and by labels, which are a metric's parameters and which of its values is meant: ``{"column": "age", "value_type":
"share"}``.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from collector.dashboard import Json, Tab, marked

_METRIC = "evidently:metric_v2:"
_MAIN = "main"  # the report that a snapshot is of if it doesn't say so
# For each kind of result: the labels under which its number stands.
_NUMBERS: dict[str, dict[str, str]] = {
    "SingleValue": {},
    "CountValue": {"value_type": "share"},
    "MeanStdValue": {"value_type": "mean"},
}
_BY_LABEL: dict[str, tuple[str, dict[str, str]]] = {
    "ByLabelValue": ("values", {}),
    "ByLabelCountValue": ("shares", {"value_type": "share"}),
}
_TITLES = {
    "DriftedColumnsCount": "Share of drifted columns",
    "RowCount": "Rows per batch",
    "DatasetMissingValueCount": "Share of missing values",
    "MissingValueCount": "Share of missing values by column",
    "RocAuc": "ROC AUC",
    "UniqueValueCount": "Share of each value",
}
# Numbers of one scale, which are easier to compare in one panel.
_TOGETHER = {
    "Quality of the classification": ("Accuracy", "Precision", "Recall", "F1Score", "RocAuc"),
    "Rates of the classification": ("TPR", "TNR", "FPR", "FNR"),
    "Duplicated, empty and constant": (
        "DuplicatedRowCount",
        "DuplicatedColumnsCount",
        "AlmostDuplicatedColumnsCount",
        "EmptyRowsCount",
        "EmptyColumnsCount",
        "ConstantColumnsCount",
        "AlmostConstantColumnsCount",
    ),
}
_PANEL_OF = {name: title for title, names in _TOGETHER.items() for name in names}
_FIRST = ("Share of drifted columns", "Rows per batch", "Share of missing values", "Quality of the classification")
_BARS = frozenset({"Rows per batch"})


@dataclass(frozen=True)
class _Result:
    """A metric's result: its type, its parameters as services write them, and its values."""

    metric: str
    params: dict[str, str]
    kind: str
    values: Json

    @property
    def column(self) -> str | None:
        return self.params.get("column")


@dataclass(frozen=True)
class _Panel:
    title: str
    series: tuple[Json, ...]
    of_columns: bool = False
    is_stacked: bool = False
    subtitle: str | None = None
    is_of_segments: bool = False


def tab_of(path: str, collector: str, columns_max: int, about: str, segments: Sequence[str] = ()) -> Tab:
    """Return the panels for a modern snapshot's file; ``about`` says what the collector is.

    A panel shows at most ``columns_max`` columns or labels. What matters most of the whole gets a panel for each of as
    many ``segments`` too. Of another report than the main one the panels are a collector's own beside those of that.
    Raises ValueError for a file that is no modern snapshot.
    """
    body = json.loads(Path(path).read_bytes())
    if "metric_results" not in body:
        raise ValueError("the snapshot isn't one of a modern report")
    panels = sorted(_panels(_results(body), columns_max), key=_place)
    panels = sorted([*panels, *_by_segment(panels, segments[:columns_max])], key=_place)
    report = str(body.get("metadata", {}).get("report", _MAIN))
    owner = collector if report == _MAIN else f"{collector}: {report}"
    shown = [_text(owner, about), *(_plot(panel, collector, report) for panel in panels)]
    seen = Counter[str]()
    made = []
    for panel in shown:
        seen[panel["title"]] += 1  # two thresholds of one method make two panels with the same title
        made.append(marked(owner, f"{panel['title']} {seen[panel['title']]}", panel))
    return {"collector": owner, "panels": made}


def _results(body: Json) -> list[_Result]:
    """Return the results of Evidently's own metrics: a panel can't name others."""
    found = []
    for result in body["metric_results"].values():
        params = (result.get("metric_value_location") or {"metric": {"params": {}}})["metric"]["params"]
        if str(params.get("type", "")).startswith(_METRIC):
            texts = {name: str(value) for name, value in params.items() if not _is_apart(name, value)}
            kind = str(result["type"]).rpartition(":")[2]
            found.append(_Result(params["type"].removeprefix(_METRIC), texts, kind, result))
    return found


def _is_apart(name: str, value: object) -> bool:
    """Tell whether services leave this parameter out of a point's labels: the type, tests, and None."""
    return value is None or name in {"type", "tests"} or name.endswith("_tests")


def _panels(results: Sequence[_Result], columns_max: int) -> Iterator[_Panel]:
    by_metric = defaultdict(list)
    for result in results:
        by_metric[result.metric].append(result)
    together: dict[str, list[Json]] = defaultdict(list)
    for name, alike in by_metric.items():
        kind = _kind_of(alike)
        if kind in _BY_LABEL:
            yield from _by_label(alike, kind, columns_max)
        elif kind in _NUMBERS and all(one.column is not None for one in alike):
            yield from _by_column(alike, kind, columns_max)
        elif kind in _NUMBERS:
            together[_PANEL_OF.get(name, _title(name))] += _of_whole(alike, kind)
    for title, series in together.items():
        # A service gives a point to the first series that matches its labels, so the most particular series comes
        # first.
        yield _Panel(title, tuple(sorted(series, key=lambda one: -len(one["metric_labels"]))))


def _by_segment(panels: Sequence[_Panel], segments: Sequence[str]) -> Iterator[_Panel]:
    """Return a copy for each segment of the first panel of the whole that isn't a count of rows.

    A single panel with a series for each segment doesn't work: a workspace directory gives all points of a metric to
    the first of its series.
    """
    of_whole = [panel for panel in panels if not panel.of_columns and panel.title not in _BARS]
    for panel in of_whole[:1]:
        for name in segments:
            series = tuple({**one, "metadata": {"segment": name}} for one in panel.series)
            yield _Panel(f"{panel.title}: {name}", series, is_of_segments=True)


def _kind_of(alike: Iterable[_Result]) -> str:
    """Return the kind of a metric's value; a failed metric with values by label has no labels, and doesn't count."""
    with_values = (one.kind for one in alike if one.kind not in _BY_LABEL or one.values[_BY_LABEL[one.kind][0]])
    return next(with_values, "")


def _of_whole(alike: list[_Result], kind: str) -> Iterator[Json]:
    """Return the series of a metric that isn't about a column; several series say how they differ."""
    differing = _differing(alike)
    for one in alike:
        labels = {name: one.params[name] for name in differing if name in one.params}
        legend = " ".join((_title(one.metric), *labels.values()))
        yield _series(one, legend, labels | _NUMBERS[kind])


def _by_column(alike: list[_Result], kind: str, columns_max: int) -> Iterator[_Panel]:
    """Return a panel with a line for each column; columns that are measured differently get different panels."""
    is_drift = alike[0].metric == "ValueDrift"
    variants = defaultdict(list)
    names = ["method", "threshold"] if is_drift else _differing(alike)
    for one in alike:
        variants[tuple((name, one.params.get(name, "")) for name in names)].append(one)
    for variant, columns in variants.items():
        # Not for drift: its method is chosen by the data, and may be another one in the next batch.
        own = {} if is_drift else {name: value for name, value in variant if value}
        series = [
            _series(one, "{{column}}", {"column": str(one.column)} | own | _NUMBERS[kind])
            for one in columns[:columns_max]
        ]
        title, subtitle = _drift_title(dict(variant)) if is_drift else (_title(alike[0].metric, own), "")
        cut = f"The first {columns_max} of {len(columns)} columns." if len(columns) > columns_max else ""
        yield _Panel(title, tuple(series), of_columns=True, subtitle=" ".join(filter(None, (subtitle, cut))) or None)


def _by_label(alike: list[_Result], kind: str, columns_max: int) -> Iterator[_Panel]:
    """Return a panel for each metric, or for each of its columns, with a series for each label."""
    where, labels = _BY_LABEL[kind]
    for one in alike[:columns_max]:
        told = [_label(name, value) for name, value in one.values.get(where, {}).items()]
        own = {} if one.column is None else {"column": one.column}
        series = [_series(one, "{{label}}", own | {"label": label} | labels) for label in told[:columns_max]]
        cut = f"The first {columns_max} of {len(told)} values." if len(told) > columns_max else None
        title = _title(one.metric, own)
        if series:
            panel = _Panel(title, tuple(series), of_columns=one.column is not None, subtitle=cut)
            yield replace(panel, is_stacked=kind == "ByLabelCountValue")


def _label(name: str, value: Json) -> str:
    """Return a label as services write it: "False", where the snapshot has false and the key "false"."""
    location = value.get("metric_value_location") or {"param": {}}
    return str(location["param"].get("label", name))


def _differing(alike: Sequence[_Result]) -> list[str]:
    """Name the parameters that differ between results of the same column."""
    by_column = defaultdict(list)
    for one in alike:
        by_column[one.column].append(one.params)
    names = dict.fromkeys(name for one in alike for name in one.params)
    return [name for name in names if any(len({one.get(name) for one in same}) > 1 for same in by_column.values())]


def _series(one: _Result, legend: str, labels: dict[str, str]) -> Json:
    return {"legend": legend, "metric": _METRIC + one.metric, "metric_labels": labels}


def _title(metric: str, own: dict[str, str] | None = None) -> str:
    """Return a metric's name in words: "MeanValue" becomes "Mean value"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric).split(" ")
    spelled = [words[0], *(word if word.isupper() else word.lower() for word in words[1:])]
    title = _TITLES.get(metric, " ".join(spelled))
    return f"{title}: {', '.join(own.values())}" if own else title


def _drift_title(variant: dict[str, str]) -> tuple[str, str]:
    method, threshold = variant["method"], variant["threshold"]
    if not method or not threshold:
        return "Drift score by column", ""
    limit = f"below {threshold}" if "p_value" in method else f"at {threshold} or more"
    return f"Drift by {method}", f"A column has drifted {limit}."


def _place(panel: _Panel) -> tuple[bool, bool, int]:
    """Return a panel's place: panels of the whole batch come first, then those of segments, then those of columns."""
    return panel.of_columns, panel.is_of_segments, _FIRST.index(panel.title) if panel.title in _FIRST else len(_FIRST)


def _text(collector: str, about: str) -> Json:
    return {"title": collector, "subtitle": about, "size": "full", "values": [], "plot_params": {"plot_type": "text"}}


def _plot(panel: _Panel, collector: str, report: str) -> Json:
    # Without all three, a panel would mix the snapshots of several collectors, reports and segments.
    whole = {"collector": collector, "report": report, "segment": ""}
    is_bar = panel.title in _BARS or panel.is_stacked
    kind = {"plot_type": "bar", "is_stacked": panel.is_stacked} if is_bar else {"plot_type": "line"}
    return {
        "title": panel.title,
        "subtitle": panel.subtitle,
        "size": "half",
        "values": [
            {**series, "tags": [], "metadata": whole | series.get("metadata", {}), "view_params": {}}
            for series in panel.series
        ],
        "plot_params": kind,
    }
