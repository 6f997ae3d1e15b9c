"""A warm process that computes a batch's report as our worker does and as Evidently alone does, in turn.

It takes orders as lines of JSON on its input, and answers each by a line with the seconds of processor time of both:
they compute the same in one process, so neither other processes nor the machine's mood come into the ratio.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in our workers: threads that wait cost what Evidently doesn't compute

import events
import evidently.legacy.metric_preset as legacy_presets
import pandas as pd
from evidently import Report, presets
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.utils import NumpyEncoder

from collector.evaluation import worker
from collector.workers.process import GARBAGE_THRESHOLD

# What presets that judge a model take for its target and its prediction.
_NUMBERS = {"target": "num0", "prediction": "num1"}
_CLASSES = {"target": "cat0", "prediction": "cat1"}
_MAPPINGS = {"RegressionPreset": _NUMBERS, "ClassificationPreset": _CLASSES, "TargetDriftPreset": _CLASSES}


@cache
def pair(generation: str, preset: str, rows: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return our run and the bare one, each from the batch's file to the text of its snapshot; both have run once."""
    directory = Path(tempfile.mkdtemp(dir=Path.cwd()))
    files = [directory / "part.parquet", directory / "reference.parquet"]
    for seed, file in enumerate(files):
        events.frame(rows, seed).to_parquet(file)
    reference = pd.read_parquet(files[1])  # both have it in memory
    mapping = _MAPPINGS.get(preset)
    legacy = {"metrics": [f"evidently:metric_preset:{preset}"], "options": {}}
    job: Any = {
        "collector": "main",
        "batch_id": "018f0000-0000-7000-8000-000000000001",
        "report_config": {"metrics": [preset]} if generation == "modern" else legacy,
        "data_definition": None,
        "column_mapping": mapping,
        "parts": [str(files[0])],
        "reference": str(files[1]),
        "cache_reference": True,
        "sample": None,
        "reuse_drift": True,
        "opened": "2026-03-01T10:00:00+00:00",
        "sealed": "2026-03-01T11:00:00+00:00",
        "snapshot_path": str(directory / "snapshot.json"),
        "save_datasets": False,
    }

    def ours() -> None:
        outcome = worker.evaluate(job)
        assert outcome["ok"], outcome

    def bare() -> str:
        current = pd.read_parquet(files[0])
        if generation == "modern":
            done = Report([getattr(presets, preset)()]).run(current, reference)
            return json.dumps(done.dump_dict(), cls=NumpyEncoder)
        report = LegacyReport([getattr(legacy_presets, preset)()])
        columns = ColumnMapping(**(mapping or {}))
        report.run(current_data=current, reference_data=reference, column_mapping=columns)
        return json.dumps(report.to_snapshot().dict(), cls=NumpyEncoder)

    ours(), bare()
    return ours, bare


def seconds_of(work: Callable[[], Any]) -> float:
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    gc.freeze()  # as in our workers: what is loaded is looked through at no collection
    gc.set_threshold(GARBAGE_THRESHOLD)
    for line in sys.stdin:
        with warnings.catch_warnings(), contextlib.suppress(KeyboardInterrupt):
            warnings.simplefilter("ignore")
            ours, bare = (seconds_of(work) for work in pair(**json.loads(line)))
            answers.write(json.dumps({"ours": ours, "limit": bare}) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
