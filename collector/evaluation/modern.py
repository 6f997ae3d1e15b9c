"""Running a modern report (``evidently.Report``) over a batch."""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from evidently import Dataset, Report

from collector.evaluation import findings, segments, snapshot, tolerant_modern
from collector.evaluation.cache import REFERENCES, size_of_frame
from collector.evaluation.fitting import fit_definition
from collector.evaluation.label_keys import with_label_keys, with_label_names
from collector.evaluation.prepared import Frames
from collector.evaluation.report import ModernReport
from collector.evaluation.result import Drift, Evaluated, Upload, first_drift
from collector.evaluation.seen_drift import seeing_drift
from collector.evaluation.uncomputed import PASSING, reason_of
from collector.workers.exchange import Job, Json

_UPLOAD_URL = "/api/v2/datasets/upload"
# pandas 3 copies values only when a frame that shares them is written to, so each user needs no copy of all.
_SHARES = pd.__version__ >= "3"


@dataclass
class _Side:
    """One side's dataset, with notes; ``undescribed`` has the descriptors that raised, and the reasons."""

    dataset: Any
    notes: list[str]
    undescribed: list[tuple[Any, str]] = field(default_factory=list)


def run(report: ModernReport, frames: Frames, definition: Any, job: Job) -> Evaluated:
    """Run the report. What can't be computed is in ``Evaluated.failures``, all else in the snapshot."""
    sent = [frames.current] if frames.reference is None else [frames.current, frames.reference]
    definition = with_label_names(definition, sent)
    current = _side(frames.current, "batch", report, definition)
    reference = None if frames.reference is None else _reference(frames, report, definition, job)
    sides = [current] if reference is None else [current, reference]
    undescribed = {one.get_fingerprint(): (one, reason) for side in reversed(sides) for one, reason in side.undescribed}
    datasets = (current.dataset, None if reference is None else reference.dataset)
    frames.notes.extend(note for side in sides for note in side.notes)
    metrics = with_label_keys(report.metrics, [side.dataset.as_dataframe() for side in sides], _targets(definition))
    metadata = snapshot.metadata_of(job, _as_texts(report.metadata), frames)
    with seeing_drift() as drift:
        done, failures = tolerant_modern.run(
            Report(metrics, tags=report.tags, include_tests=report.include_tests),
            *datasets,
            {name: Dataset.from_pandas(frame) for name, frame in frames.additional.items()},
            undescribed=list(undescribed.values()),
            name=job["collector"],
            timestamp=snapshot.timestamp_of(job),
            metadata=metadata,
            tags=list(report.tags),
        )
    return Evaluated(
        kind="Report",
        report_id=segments.snapshot_id(job["batch_id"], frames.segment) if frames.segment else job["batch_id"],
        body=done.dump_dict(),
        drift=_drift(done),
        tests=snapshot.count_tests(test.status for result in done.metric_results.values() for test in result.tests),
        failures=failures,
        findings=findings.of_modern(done.metric_results.values(), drift, failures),
        uploads=list(_uploads(*datasets, job)) if job["save_datasets"] else [],
    )


def _reference(frames: Frames, report: ModernReport, definition: Any, job: Job) -> _Side:
    """Make the reference's dataset, or copy the kept one, which has its inferred types and its descriptors."""
    if frames.reference_key is None:
        return _side(frames.reference, "reference", report, definition)
    config = [job["data_definition"], *(job["report_config"].get(name) for name in ("descriptors", "options"))]
    made = REFERENCES.get(
        (frames.reference_key, json.dumps(config, sort_keys=True)),
        lambda: _side(frames.reference, "reference", report, definition),
        lambda side: size_of_frame(side.dataset.as_dataframe()),
    )
    kept = made.dataset.as_dataframe()
    return copy.deepcopy(made, {id(kept): kept.copy(deep=not _SHARES)})  # a report may add columns to its copy


def _side(frame: Any, name: str, report: ModernReport, definition: Any) -> _Side:
    fitting, notes = fit_definition(definition, frame, name)
    side = _Side(Dataset.from_pandas(_sharing(frame) if _SHARES else frame, fitting), notes)
    for descriptor in report.descriptors:
        try:
            side.dataset.add_descriptor(descriptor, report.options)
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it raises is the descriptor's own
            column = getattr(descriptor, "column_name", None)
            columns = [] if column is None else [column]
            side.undescribed.append((descriptor, reason_of(error, columns, {name: frame})))
    return side


def _sharing(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose ``copy``, which Evidently calls, shares its values instead of copying them."""
    shared = frame.copy(deep=False)
    object.__setattr__(shared, "copy", lambda: frame.copy(deep=False))
    return shared


def _targets(definition: Any) -> list[str]:
    return [task.target for task in getattr(definition, "classification", None) or []]


def _as_texts(metadata: Json) -> Json:
    """Write lists and objects as text: Evidently accepts them, but then the UI answers 500 for the whole project."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}


def _drift(done: Any) -> Drift:
    """Take drift from the legacy metric behind DriftedColumnsCount: the modern result lacks the number of columns."""
    return first_drift(result for result, _ in done.context._legacy_metrics.values())  # noqa: SLF001


def _uploads(current: Any, reference: Any, job: Job) -> Iterator[Upload]:
    """Describe the datasets with the names and links that ``CloudWorkspace.add_run(include_data=True)`` gives them."""
    yield _upload("current", job["collector"], current)
    if reference is not None:
        yield _upload("reference", f"{job['collector']}: reference", reference)


def _upload(role: Any, name: str, dataset: Any) -> Upload:
    form = {
        "name": name,
        "data_definition_str": dataset.data_definition.json(exclude_none=True),
        "metadata_str": json.dumps(dataset.metadata),
        "tags_str": json.dumps(dataset.tags),
    }
    link = {"dataset_type": "output", "dataset_subtype": role}
    return Upload(role, name, dataset.as_dataframe(), _UPLOAD_URL, form, link)
