"""What the daemon calls in the worker process, by name: JSON-able values in, JSON-able values out."""

import ctypes
import gc
import traceback
import zlib
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import evidently
import pandas as pd
import pyarrow as pa

from collector.disk.files import write_whole
from collector.evaluation import datasets, legacy, modern, notes, row_checks, snapshot
from collector.evaluation.awaited import without_awaited
from collector.evaluation.chance import false_alarms
from collector.evaluation.check import problems_of, read_config
from collector.evaluation.event_window import find_window
from collector.evaluation.exported import exported
from collector.evaluation.fast.taken import shortcuts_taken
from collector.evaluation.findings import MAX_VALUES
from collector.evaluation.pandas_columns import to_frame
from collector.evaluation.part_files import check_reference, read_table
from collector.evaluation.prepared import Frames, NoRows, Segment, prepare, read_reference
from collector.evaluation.projects import project_file
from collector.evaluation.quiet import hushed
from collector.evaluation.rehearsal import of_reference, staged, verdict_of
from collector.evaluation.report import ModernReport
from collector.evaluation.result import Evaluated
from collector.evaluation.sampling import Sample
from collector.evaluation.segments import snapshot_id
from collector.evaluation.selecting import Wish
from collector.evaluation.snapshot import link_datasets, strip_widgets
from collector.evaluation.uncomputed import PASSING, RAISED, NotComputedError
from collector.evaluation.unlabelled import without_unlabelled
from collector.formats.part_tables import Unreadable
from collector.formats.private import Private, apply
from collector.generation import generation_of
from collector.workers.exchange import (
    Damage,
    Failure,
    FalseAlarms,
    Job,
    Json,
    NoRowsMatch,
    Outcome,
    Problem,
    Rehearsal,
    SegmentFailure,
    SegmentOutcome,
)

__all__ = [
    "check",
    "check_reference",
    "check_rows",
    "count_false_alarms",
    "evaluate",
    "link_datasets",
    "project_file",
    "rehearse",
    "strip_widgets",
    "warm_up",
]

_NO_LABELS = "not tried, as the reference lacks columns of labels"


_MANY = 100_000


def warm_up() -> dict[str, str]:
    """Do nothing but have been imported, which takes seconds; returns Evidently's version."""
    return {"evidently": evidently.__version__}


def check(report_config: Json, data_definition: Json | None, column_mapping: Json | None) -> list[Problem]:
    """Return what is wrong with what a collector is to evaluate, nothing if it is sound."""
    with hushed():
        return problems_of(report_config, data_definition, column_mapping)


def check_rows(reference: str, where: Json, segments: Json | None, private: Private | None) -> list[Problem]:
    """Return what is wrong with a collector's ``where`` and ``segments``, by its reference, which is sound."""
    with hushed():
        return row_checks.problems_of(where, segments, read_reference(reference, private))


def evaluate(job: Job) -> Outcome | Failure | Damage | NoRowsMatch:
    """Evaluate one batch and write its snapshot, and one for each segment; what a report raises becomes a Failure.

    Raises OSError if a snapshot can't be written: that is the disk's matter, not the batch's.
    """
    outcome = _outcome_of(job)
    if outcome["ok"] and outcome["rows"] >= _MANY:
        # a report holds references to itself, and would keep its rows in memory while the next report reads its own
        gc.collect()
        _give_back()
    return outcome


def _give_back() -> None:
    """Give freed memory back to the system: glibc keeps freed memory that lies below anything still in use."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _outcome_of(job: Job) -> Outcome | Failure | Damage | NoRowsMatch:
    try:
        with hushed():
            window = find_window(job)
            job, unlabelled = without_unlabelled(window.of_job(job))
            frames = _frames(job)
            frames.notes.extend([*window.notes, *unlabelled])
            least = job.get("least_reference_rows")
            if least and job["reference"] is not None and frames.reference is None:
                job = {**job, "awaits_reference": f"fewer than {least} rows of the reference meet `where`"}
            outcome, files = _evaluate(job, frames)
    except PASSING:
        raise
    except Unreadable as error:
        return {"ok": False, "damaged": error.paths}
    except NoRows as error:
        return {"ok": False, "rows_without_match": error.rows, "notes": error.notes}
    except NotComputedError as error:
        if why := job.get("awaits_reference"):
            return {"ok": False, "rows_without_match": frames.rows, "notes": frames.notes, "why": why}
        return _failure(error)
    except RAISED as error:
        return _failure(error)
    _write(files)
    if window.bounds is not None:
        outcome["window"] = list(window.bounds)
    if job.get("segments") is not None:
        outcome["segments"] = [_of_segment(job, frames, segment) for segment in frames.segments]
        outcome["skipped_segments"] = dict(frames.skipped)
    return outcome


def _failure(error: BaseException) -> Failure:
    return {"ok": False, "error": _said(error), "traceback": traceback.format_exc()}


def _of_segment(job: Job, frames: Frames, segment: Segment) -> SegmentOutcome | SegmentFailure:
    """Evaluate one segment and write its snapshot; if its report raises, only this segment fails."""
    whole = Path(job["snapshot_path"])
    path = whole.with_name(f"{whole.stem}.{snapshot_id(job['batch_id'], segment.name)}.json")
    own: Job = {**job, "segment": segment.name, "snapshot_path": str(path), "save_datasets": False, "export": []}
    try:
        with hushed():
            outcome, files = _evaluate(own, replace(segment.make(), additional=frames.additional))
    except PASSING:
        raise
    except RAISED as error:
        failed: SegmentFailure = {
            "ok": False,
            "segment": segment.name,
            "matched_rows": segment.rows,
            "error": _said(error),
            "traceback": traceback.format_exc(),
        }
        return failed
    _write(files)
    return {**outcome, "segment": segment.name, "file": path.name}


def _write(files: dict[str, bytes]) -> None:
    for path, body in files.items():
        write_whole(Path(path), body)


def rehearse(job: Job) -> Rehearsal:
    """Evaluate a job's reference as if it were the batch, and return what can't be computed of it; nothing is kept."""
    try:
        with hushed(), staged(job) as on_reference:
            _, lacking = without_unlabelled(on_reference)
            if lacking:
                return {"failed": [], "left_out": [_NO_LABELS]}
            frames = _frames(on_reference)
            done = _compute(on_reference, frames)
    except PASSING:
        raise
    except Unreadable as error:
        return {"failed": [f"can't be read: {', '.join(error.paths)}"], "left_out": []}
    except RAISED as error:
        return {"failed": [of_reference(_said(error))], "left_out": []}
    return verdict_of(done.failures, list(frames.current.columns), on_reference)


def count_false_alarms(job: Job, rows: int, draws: int) -> FalseAlarms | None:
    """Return how often a report calls drift in batches of ``rows`` rows that are drawn from its own reference."""
    with hushed():
        return false_alarms(job, rows, draws, lambda drawn: _compute(drawn, _frames(drawn)).findings["drift"])


def _evaluate(job: Job, frames: Frames) -> tuple[Outcome, dict[str, bytes]]:
    """Compute, and return the files to write, by their paths; the snapshot comes last."""
    done = _compute(job, frames)
    if why := job.get("awaits_reference"):
        done = without_awaited(done, frames.notes, why)
    uploads = datasets.encode(done.uploads, job["snapshot_path"]) if job["save_datasets"] else []
    outcome: Outcome = {
        "ok": True,
        "generation": generation_of(job["report_config"]),
        "kind": done.kind,
        "report_id": done.report_id,
        "rows": frames.rows,
        "drift_share": done.drift.share,
        "drifted_columns": done.drift.drifted,
        "columns": done.drift.columns,
        "dataset_drift": done.drift.is_of_all,
        "tests": done.tests,
        "failed_metrics": len(done.failures),
        "findings": {**done.findings, "values": done.findings["values"][:MAX_VALUES]},
        "notes": [
            *notes.of_failures(done.failures, frames.current, frames.reference, frames.where),
            *frames.notes,
        ],
        "datasets": [described for described, _ in uploads],
        "bytes": 0,
        "checksum": 0,
    }
    if frames.matched_rows is not None:
        outcome["matched_rows"] = frames.matched_rows
    if job.get("awaits_reference"):
        outcome["awaits_reference"] = True
    if export := job.get("export"):
        reference = [] if frames.reference is None else list(frames.reference.columns)
        config = [job["report_config"], job["data_definition"], job["column_mapping"]]
        outcome["exported"] = exported(done.findings["values"], export, reference, config)
    snapshot.tell_apart(done.body, outcome)
    encoded = snapshot.encode(done.body)
    snapshot.refuse_unloadable(snapshot.outline(done.body), generation_of(job["report_config"]))
    outcome["bytes"], outcome["checksum"] = len(encoded), zlib.crc32(encoded)
    return outcome, {described["path"]: body for described, body in uploads} | {job["snapshot_path"]: encoded}


def _frames(job: Job) -> Frames:
    where, segments, sample = job.get("where", {}), job.get("segments"), job.get("sample")
    least = job.get("least_reference_rows", 0)
    frames = prepare(
        job["parts"],
        job["reference"],
        cache=job["cache_reference"],
        config=[job["report_config"], job["data_definition"], job["column_mapping"]],
        sample=None if sample is None else Sample.of(sample["rows"], job["batch_id"]),
        cast=job.get("cast", "untyped"),
        private=job.get("private"),
        wish=Wish(job["batch_id"], where, segments, least) if where or segments is not None else None,
    )
    if frames.rows >= _MANY:
        pa.default_memory_pool().release_unused()  # memory that reading took, which Arrow would keep for the next read
    additional = {name: _further(path, job) for name, path in job.get("additional_data", {}).items()}
    return replace(frames, additional=additional)


def _compute(job: Job, frames: Frames) -> Evaluated:
    report, columns, problems = read_config(job["report_config"], job["data_definition"], job["column_mapping"])
    if problems:
        raise ValueError("; ".join(f"{'.'.join(map(str, one['path']))}: {one['message']}" for one in problems))
    is_fast = job["reuse_drift"] and job.get("fast_reports", True)
    of_it = (frames.notes, frames.reference, frames.reference_key)
    with shortcuts_taken(*of_it, is_modern=isinstance(report, ModernReport)) if is_fast else nullcontext():
        if isinstance(report, ModernReport):
            return modern.run(report, frames, columns, job)
        return legacy.run(report, frames, columns, job)


def _further(path: str, job: Job) -> pd.DataFrame:
    return to_frame(apply(read_table(path), job.get("private")))[0]


def _said(error: BaseException) -> str:
    said = " ".join(str(error).split()) or "no message"
    return said if isinstance(error, NotComputedError) else f"{type(error).__name__}: {said}"
