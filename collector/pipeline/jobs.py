"""Jobs: what a collector's config asks of a worker that evaluates one of its batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.config.labels import LABELS
from collector.status.telling import iso

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from collector.config import CollectorConfig
    from collector.formats.private import Private
    from collector.store.records import Batch
    from collector.workers.exchange import Job


def make_job(  # noqa: PLR0913  (a config, a batch, and where its files are)
    config: CollectorConfig,
    base: Path,
    batch: Batch,
    parts: Iterable[Path],
    snapshot: Path,
    *,
    fast_reports: bool = True,
    private: Private | None = None,
) -> Job:
    """Make the job of evaluating a batch; the config's relative paths start at ``base``.

    ``fast_reports`` is the service's, and so is ``private``, what is done to columns of the collector's files.
    """
    reference = config.reference_file(base)
    opened, sealed = batch.window
    where, segments = config.rows_wanted
    return {
        "collector": config.id,
        "batch_id": batch.id,
        "report": batch.report,
        "report_config": config.report_config.model_dump(),
        "data_definition": config.data_definition,
        "column_mapping": config.column_mapping,
        "parts": [str(part) for part in parts],
        "reference": None if reference is None else str(reference),
        "additional_data": {name: str(path) for name, path in config.additional_files(base).items()},
        "cache_reference": config.cache_reference,
        "where": where,
        "segments": segments,
        "sample": None if config.sample is None else config.sample.model_dump(),
        "cast": config.cast,
        "reuse_drift": config.reuse_drift,
        "fast_reports": fast_reports,
        "export": config.export,
        "opened": iso(opened),
        "sealed": iso(sealed),
        "timestamp_column": config.timestamp_column if batch.start is None else None,
        "snapshot_path": str(snapshot),
        "save_datasets": config.save_datasets and config.takes_datasets,
        "is_posted": config.is_posted,
        "private": private,
        "labels": batch.outcome.get(LABELS),
        "label_columns": list(config.labels.columns) if config.labels and batch.report == LABELS else None,
    }
