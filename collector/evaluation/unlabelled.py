"""A reference without labels: a report of rows that have theirs is computed without it."""

from collections.abc import Sequence

from collector.formats.part_tables import open_part, reading
from collector.workers.exchange import Job


def without_unlabelled(job: Job) -> tuple[Job, Sequence[str]]:
    """Return a job without its reference, and a note, if that lacks a column of labels; else the job as it is.

    Evidently can compute nothing of the quality of predictions where only one side has a target. Raises Unreadable.
    """
    path, columns = job["reference"], job.get("label_columns")
    if path is None or not columns:
        return job, ()
    with reading(path):
        there = set(open_part(path).schema_arrow.names)
    lacking = [name for name in columns if name not in there]
    if not lacking:
        return job, ()
    names = ", ".join(map(repr, lacking))
    note = f"The reference has no column {names}: this report is computed without a reference; give one that has it."
    return {**job, "reference": None}, (note,)
