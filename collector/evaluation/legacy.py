"""Running a legacy Report or TestSuite (``evidently.legacy``) over a batch, as the original collector did."""

import dataclasses
import json
import uuid
from collections.abc import Iterator
from typing import Any

from evidently.legacy.report import Report
from evidently.legacy.test_suite import TestSuite
from evidently.legacy.ui.datasets import (
    DatasetSourceType,
    get_dataset_name_output_current,
    get_dataset_name_output_reference,
)
from evidently.legacy.utils import NumpyEncoder

from collector.evaluation import findings, snapshot, tolerant_legacy
from collector.evaluation.fitting import fit_frames, fit_mapping
from collector.evaluation.label_keys import with_target_names
from collector.evaluation.prepared import Frames
from collector.evaluation.report import LegacyReport
from collector.evaluation.result import Evaluated, Upload, first_drift
from collector.evaluation.seen_drift import seeing_drift
from collector.workers.exchange import Job

_NAMESPACE = uuid.UUID("b0b1d5e3-97a4-5b9e-8c1f-6a0e2b7d4f15")
_UPLOAD_URL = "/api/datasets/"


def run(report: LegacyReport, frames: Frames, mapping: Any, job: Job) -> Evaluated:
    """Run the report. What can't be computed is in ``Evaluated.failures``, all else in the snapshot."""
    runnable = _runnable(report, job, frames)
    current, reference = fit_frames(frames.current, frames.reference)
    named = with_target_names(mapping, [current] if reference is None else [current, reference])
    fitting, notes = fit_mapping(named, current, reference)
    frames.notes.extend(notes)
    given = {
        "current_data": current,
        "reference_data": reference,
        "additional_data": frames.additional,
        "column_mapping": fitting,
        "timestamp": snapshot.timestamp_of(job),
    }
    with seeing_drift() as drift:
        failures = tolerant_legacy.run(runnable, given)
    done = runnable._get_snapshot()  # noqa: SLF001  # to_snapshot would raise for the first failure
    context = runnable._inner_suite.context  # noqa: SLF001  # Evidently's own workspaces read it too
    is_suite = bool(report.tests)
    shown = [] if is_suite else runnable._first_level_metrics  # noqa: SLF001
    return Evaluated(
        kind="TestSuite" if is_suite else "Report",
        report_id=str(done.id),
        body=done.dict(),
        drift=first_drift(context.metric_results.values()),
        tests=snapshot.count_tests(result.status for result in context.test_results.values()),
        failures=failures,
        findings=findings.of_legacy(shown, context, drift, failures, is_suite=is_suite),
        uploads=list(_uploads(runnable, done)) if job["save_datasets"] else [],
    )


def _runnable(report: LegacyReport, job: Job, frames: Frames) -> Any:
    shared = {
        "options": report.options,
        "metadata": snapshot.metadata_of(job, report.metadata, frames),
        "tags": report.tags,
        "name": job["collector"],
    }
    made = TestSuite(tests=report.tests, **shared) if report.tests else Report(metrics=report.metrics, **shared)
    # Not a random id, as in Evidently: then a batch that is evaluated again, anywhere, would be delivered twice.
    made.id = uuid.uuid5(_NAMESPACE, f"{job['batch_id']} {job.get('segment', '')}")
    return made


def _uploads(runnable: Any, done: Any) -> Iterator[Upload]:
    """Describe the datasets as the original's ``CloudWorkspace`` did, under the same names."""
    current, reference = runnable.datasets()
    mapping = json.dumps(dataclasses.asdict(runnable.get_column_mapping()), cls=NumpyEncoder)
    yield _upload("current", get_dataset_name_output_current(done.is_report, done.id, "ws"), current, mapping)
    if reference is not None:
        name = get_dataset_name_output_reference(done.is_report, done.id, "ws")
        yield _upload("reference", name, reference, mapping)


def _upload(role: Any, name: str, frame: Any, mapping: str) -> Upload:
    form = {"name": name, "column_mapping": mapping, "source_type": str(DatasetSourceType.snapshot_builder.value)}
    return Upload(role, name, frame, _UPLOAD_URL, form, {})
