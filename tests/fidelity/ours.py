"""What a worker writes of the same rows, read and drawn as Evidently reads and draws it."""

from evidently.core.report import Snapshot
from evidently.legacy.metrics.custom_metric import CustomValueMetric
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_suite import TestSuite as LegacySuite

from collector.evaluation import worker
from collector.generation import generation_of

from .direct import of_legacy, of_modern


def job_of(config, definition, part, reference, snapshot):
    """Return the job of a batch of one part."""
    return {
        "collector": "main",
        "batch_id": "018f0000-0000-7000-8000-000000000001",
        "generation": generation_of(config),
        "report_config": config,
        "data_definition": definition,
        "column_mapping": None,
        "parts": [part],
        "reference": reference,
        "cache_reference": False,
        "sample": None,
        "cast": "untyped",
        "reuse_drift": True,
        "opened": "2026-03-01T10:00:00+00:00",
        "sealed": "2026-03-01T11:00:00+00:00",
        "snapshot_path": snapshot,
        "additional_data": {},
        "save_datasets": False,
    }


def values(job):
    """Evaluate, and return each metric or test by its name, and the notes; None if the batch was lost."""
    outcome = worker.evaluate(job)
    if not outcome["ok"]:
        return None, [outcome["error"]]
    if outcome["generation"] == "modern":
        snapshot = Snapshot.load(job["snapshot_path"])
        snapshot.get_html_str(as_iframe=False)
        failed = {name for name, result in snapshot.metric_results.items() if _has_failed(result)}
        found = {name: ("error", "") if name in failed else one for name, one in of_modern(snapshot).items()}
        return found, outcome["notes"]
    done = (LegacySuite if job["report_config"]["tests"] else LegacyReport).load(job["snapshot_path"])
    done._build_dashboard_info()  # noqa: SLF001  # as the UI draws it
    shown = getattr(done, "_first_level_metrics", [])
    errors = {one.title: ("error", one.title) for one in shown if isinstance(one, CustomValueMetric)}
    return {name: one for name, one in of_legacy(done).items() if "CustomValueMetric" not in name} | errors, outcome[
        "notes"
    ]


def _has_failed(result):
    return any("could not be computed" in str(one.params) for one in result.get_widgets())
