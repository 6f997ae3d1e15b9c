"""Outgoing: a snapshot on its way to a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from collector.generation import Generation
    from collector.workers.exchange import DatasetFile


@dataclass(frozen=True)
class Outgoing:
    """The snapshot of a batch, or of one segment of it, in the file ``path``; ``outcome`` is what came of its report.

    ``batch_id`` and ``segment`` are in its metadata: no other has both. All snapshots of the batches that it
    ``replaces`` are to go before it comes.
    """

    id: str
    batch_id: str
    segment: str
    path: Path
    outcome: Mapping[str, Any]
    replaces: Sequence[str] = ()

    @property
    def generation(self) -> Generation:
        """Which of Evidently's generations it is of."""
        generation: Generation = self.outcome["generation"]
        return generation

    @property
    def datasets(self) -> list[DatasetFile]:
        """The datasets that go beside it."""
        datasets: list[DatasetFile] = self.outcome.get("datasets", [])
        return datasets

    @property
    def progress(self) -> dict[str, Any]:
        """What earlier tries to deliver it have kept."""
        progress: dict[str, Any] = self.outcome.get("progress", {})
        return progress

    def is_described_by(self, metadata: Mapping[str, Any]) -> bool:
        """Tell whether a snapshot with this metadata is this one."""
        return metadata.get("batch_id") == self.batch_id and metadata.get("segment", "") == self.segment
