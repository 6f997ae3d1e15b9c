"""Running a modern report (``evidently.Report``) over a batch."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from evidently import Dataset, Report

from collector.evaluation import snapshot
from collector.evaluation.cache import REFERENCES
from collector.evaluation.label_keys import with_label_keys
from collector.evaluation.prepared import Frames
from collector.evaluation.report import ModernReport
from collector.evaluation.result import Drift, Evaluated, Upload, first_drift
from collector.workers.exchange import Job, Json

_UPLOAD_URL = "/api/v2/datasets/upload"


def run(report: ModernReport, frames: Frames, definition: Any, job: Job) -> Evaluated:
    """Run the report. A metric that fails raises from here as it does in Evidently: it leaves no result of its own."""
    current = _dataset(frames.current, report, definition)
    reference = None if frames.reference is None else _reference(frames, report, definition, job)
    metrics = with_label_keys(
        report.metrics, [one.as_dataframe() for one in (current, reference) if one], _targets(definition)
    )
    runnable = Report(metrics, tags=report.tags, include_tests=report.include_tests)
    done = runnable.run(
        current,
        reference,
        timestamp=snapshot.timestamp_of(job),
        metadata=snapshot.metadata_of(job, _as_texts(report.metadata), frames),
        name=job["collector"],
    )
    return Evaluated(
        kind="Report",
        report_id=job["batch_id"],
        body=done.dump_dict(),
        drift=_drift(done),
        tests=snapshot.count_tests(test.status for result in done.metric_results.values() for test in result.tests),
        uploads=list(_uploads(current, reference, job)) if job["save_datasets"] else [],
    )


def _reference(frames: Frames, report: ModernReport, definition: Any, job: Job) -> Any:
    """Make the reference's dataset, or copy the kept one, which has its inferred types and its descriptors."""
    if frames.reference_key is None:
        return _dataset(frames.reference, report, definition)
    config = [job["data_definition"], *(job["report_config"].get(name) for name in ("descriptors", "options"))]
    made = REFERENCES.get(
        (frames.reference_key, json.dumps(config, sort_keys=True)),
        lambda: _dataset(frames.reference, report, definition),
        lambda dataset: dataset.as_dataframe(),
    )
    return copy.deepcopy(made)  # a report may add columns to it


def _dataset(frame: Any, report: ModernReport, definition: Any) -> Any:
    return Dataset.from_pandas(frame, definition, descriptors=report.descriptors, options=report.options)


def _targets(definition: Any) -> list[str]:
    return [task.target for task in getattr(definition, "classification", None) or []]


def _as_texts(metadata: Json) -> Json:
    """Spell lists and objects out: Evidently takes them, and then the UI can't list the whole project (500)."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}


def _drift(done: Any) -> Drift:
    """Take the drift from the legacy metric behind DriftedColumnsCount: the modern result lacks the columns' number."""
    return first_drift(result for result, _ in done.context._legacy_metrics.values())  # noqa: SLF001


def _uploads(current: Any, reference: Any, job: Job) -> Iterator[Upload]:
    """Describe the datasets as ``CloudWorkspace.add_run(include_data=True)`` names and links them."""
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
