"""The matrix: a cell is a kind of reference column, a kind of batch column, a format and a preset."""

import inspect
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import plotly.graph_objects as go
from evidently.legacy.utils import visualizations

from collector.evaluation import prepared
from collector.evaluation.quiet import hushed
from collector.store.parts import write_reference

from . import direct, ours
from .columns import BATCH, REFERENCE, body_of, frame_of
from .comparing import compare

_BINARY = {"classification": [{"target": "target", "prediction_labels": "prediction", "pos_label": 1}]}
_REGRESSION = {"regression": [{"target": "target", "prediction": "prediction"}]}


def _legacy(**items):
    return {"metrics": [], "tests": [], "options": {}, **items}, None


PRESETS = {
    "drift": ({"metrics": ["DataDriftPreset"], "include_tests": True}, None),
    "summary": ({"metrics": ["DataSummaryPreset"], "include_tests": True}, None),
    "classification": ({"metrics": ["ClassificationPreset"], "include_tests": True}, _BINARY),
    "regression": ({"metrics": ["RegressionPreset"], "include_tests": True}, _REGRESSION),
    "legacy drift": _legacy(metrics=["DataDriftPreset"]),
    "legacy target drift": _legacy(metrics=["TargetDriftPreset"]),
    "legacy quality": _legacy(metrics=["DataQualityPreset"]),
    "legacy stability tests": _legacy(tests=["DataStabilityTestPreset"]),
    "legacy quality tests": _legacy(tests=["DataQualityTestPreset"]),
    "legacy drift tests": _legacy(tests=["DataDriftTestPreset"]),
    "legacy no target tests": _legacy(tests=["NoTargetPerformanceTestPreset"]),
}


@dataclass(frozen=True)
class Cell:
    """One evaluation."""

    reference: str
    batch: str
    format: str
    preset: str

    def __str__(self):
        return f"{self.preset}, {self.batch} as {self.format} against {self.reference}"


def all_cells(formats=tuple(BATCH), presets=tuple(PRESETS)):
    """Return every cell of these formats and presets."""
    return [
        Cell(reference, batch, format_, preset)
        for format_ in formats
        for reference in REFERENCE
        for batch in BATCH[format_]
        for preset in presets
    ]


def evaluate(cell, directory):
    """Evaluate a cell by a worker and directly; returns the counts, and a sentence on each difference."""
    part, reference, snapshot = (str(directory / name) for name in ("b.parquet", "r.parquet", "s.json"))
    write_reference(cell.format, body_of(cell.format, frame_of("batch", cell.batch)), part)
    write_reference("arrow", body_of("arrow", frame_of("reference", cell.reference)), reference)
    config, definition = PRESETS[cell.preset]
    with hushed():
        frames = prepared.prepare([part], reference, cache=False, config=[config, definition, None])
        expected = direct.values(config, definition, frames.current, frames.reference)
        found, notes = ours.values(ours.job_of(config, definition, part, reference, snapshot))
    counts, said = compare(expected, found, notes)
    return counts, [f"{cell}: {one}" for one in said]


def evaluate_alone(cell):
    """Evaluate a cell in a process of many; returns it, too."""
    with tempfile.TemporaryDirectory() as directory:
        return cell, *evaluate(cell, Path(directory))


def be_quiet():
    """Prepare such a process."""
    warnings.simplefilter("ignore")
    draw_nothing()


def draw_nothing():
    """Leave pictures out: values are compared, and most of the time goes into pictures."""
    drawing = {name: one for name, one in vars(visualizations).items() if name.startswith("plot_") and callable(one)}
    blank = {name: _blank(one) for name, one in drawing.items() if "json.loads(fig" in inspect.getsource(one)}
    for module in [one for name, one in sys.modules.items() if name.startswith("evidently.") and one is not None]:
        for name in blank.keys() & vars(module).keys():
            setattr(module, name, blank[name])


def _blank(draw):
    known = inspect.signature(draw).parameters
    flag = next((name for name in ("to_json", "return_json") if name in known), None)
    default = True if flag is None else known[flag].default

    def blank(*_, **options):
        return {"data": [], "layout": {}} if options.get(flag, default) else go.Figure()

    return blank
