"""A batch's snapshots, of the whole and of its segments, in what the journal keeps of the batch for their delivery.

The outcome of the whole has a list ``segments`` of what delivery needs to know of each; what was found in them is in
the journal's snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.workspaces.outgoing import Outgoing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from collector.store.data_dir import DataDir
    from collector.store.records import Batch
    from collector.workers.exchange import Outcome

_OF_SEGMENT = ("ok", "segment", "matched_rows", "generation", "report_id", "file", "checksum", "error")
# What of a delivery still holds if the snapshot's file is made again.
_OF_WORKSPACE = ("is_doubtful", "is_cleared", "snapshot_id", "datasets", "is_done")


def kept_outcome(outcome: Outcome, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an outcome that is kept with its batch.

    ``before`` is what it kept of an earlier evaluation: what was delivered of that isn't delivered again.
    """
    kept: dict[str, Any] = {**outcome}
    if "segments" in outcome:
        kept["segments"] = [
            {name: value for name, value in one.items() if name in _OF_SEGMENT} for one in outcome["segments"]
        ]
    known = {part.get("segment", ""): part.get("progress", {}) for part in _parts(before)}
    for part in _parts(kept):
        if progress := known.get(part.get("segment", "")):
            part["progress"] = {name: progress[name] for name in _OF_WORKSPACE if name in progress}
    return kept


def outgoing_of(batch: Batch, data_dir: DataDir) -> Iterator[Outgoing]:
    """Yield the snapshots of a batch, that of the whole first."""
    yield Outgoing(batch.id, batch.id, "", data_dir.snapshot(batch.id), batch.outcome, batch.replaces)
    for one in batch.outcome.get("segments", ()):
        if one["ok"]:
            path = data_dir.snapshot(batch.id).with_name(one["file"])
            yield Outgoing(one["report_id"], batch.id, one["segment"], path, one)


def segments_of(batch: Batch) -> list[str]:
    """Name a batch's segments, also those that got no report this time."""
    return [*(one["segment"] for one in batch.outcome.get("segments", ())), *batch.outcome.get("skipped_segments", ())]


def part_of(outcome: dict[str, Any], segment: str) -> dict[str, Any]:
    """Return what is kept of a segment, or of the whole, whose name is empty."""
    return next(part for part in _parts(outcome) if part.get("segment", "") == segment)


def _parts(outcome: Mapping[str, Any]) -> Iterator[Any]:
    yield outcome
    yield from outcome.get("segments", ())
