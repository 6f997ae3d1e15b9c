"""What a batch says of itself that waits for labels, in a file beside those of its keys, should the journal be lost.

Its parts are delivered, and so read-only: without a word from it they would be taken for what nobody needs any more.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collector.store.data_dir import DataDir
    from collector.store.records import Awaited, Batch

ENDING = "batch"


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


def about(batch: Batch, one: Awaited, paths: Sequence[str]) -> str:
    """Return what a batch says of itself."""
    names = [path.rpartition("/")[2] for path in paths]
    of_batch = (batch.id, batch.collector, batch.rows, batch.opened, batch.sealed, batch.start, batch.end)
    return json.dumps(asdict(WaitingBatch(*of_batch, batch.is_backfill, one.since, one.wait, names)))


def waiting_batches(data_dir: DataDir) -> Iterator[WaitingBatch]:
    """Yield what batches say that waited when something was last heard of them; what can't be read is left out."""
    for path in data_dir.key_files(ENDING):
        try:
            yield WaitingBatch(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            continue
