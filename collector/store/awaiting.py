"""Files that say which delivered batches wait for labels, one for each, in case the journal is lost.

The parts of such a batch are read-only. Without its file they would be taken for parts that nobody needs any more.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from collector.config.labels import LABELS
from collector.disk.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.store.data_dir import DataDir

_ENDING = "batch"


@dataclass(frozen=True, slots=True)
class WaitingBatch:
    """A batch as the journal has it in ``batch`` and ``awaited``, and its parts by their names alone.

    The part of a batch that fails, or is tried again, goes to another directory, and keeps its name.
    """

    batch: str
    collector: str
    rows: int
    opened: float
    sealed: float
    start: float | None
    end: float | None
    is_backfill: bool
    since: float
    wait: float
    parts: list[str]


def waiting_file(batch_id: str) -> str:
    """Return the path of a batch's file, in the data directory."""
    return f"{LABELS}/{batch_id}.{_ENDING}"


def write_waiting(data_dir: DataDir, one: WaitingBatch) -> None:
    """Write the file of a batch that waits; raise OSError."""
    write_whole(data_dir.path / waiting_file(one.batch), json.dumps(asdict(one)).encode())


def waiting_batches(data_dir: DataDir) -> Iterator[WaitingBatch]:
    """Yield the batches that have a file; a file that can't be read is left out."""
    for path in data_dir.key_files(_ENDING):
        try:
            yield WaitingBatch(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
