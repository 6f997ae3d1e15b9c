"""Failed batches: kept in a folder of their own beside what went wrong, until somebody has them evaluated again.

One whose files are damaged goes on with what is left of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import trio

from collector.disk.files import link_or_copy
from collector.fault_points import reach
from collector.status.telling import PartsLost

if TYPE_CHECKING:
    from collections.abc import Collection

    from collector.pipeline.work import Work
    from collector.store.records import Batch


async def set_aside(work: Work, batch: Batch, error: str, detail: str = "", **changes: int) -> None:
    """Take a batch to ``failed``, its parts to its folder beside the error's text."""
    folder = work.data_dir.failed(batch.id)
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "error.txt").write_text(f"{error}\n\n{detail}".rstrip() + "\n", encoding="utf-8")
    await _move_parts(work, batch, f"failed/{batch.id}")
    await work.source.give_up(batch, error)
    await work.journal.keep_failure(batch, work.service.retention.snapshots, error=error, **changes)
    work.source.note_change()
    reach("failed")


async def take_back(work: Work, batch: Batch) -> None:
    """Take the parts of a batch that is to be retried back to the others; its folder goes."""
    await _move_parts(work, batch, "parts")
    work.data_dir.remove_failed(batch.id)


async def drop_damaged(work: Work, batch: Batch, damaged: Collection[str]) -> PartsLost | None:
    """Set a batch's damaged parts aside, and report it; return None if it has none of them."""
    whole = {str(work.data_dir.path / part.path): part.path for part in await work.journal.parts(batch.id)}
    paths = [whole[path] for path in damaged if path in whole]
    if not paths:
        return None
    for path in paths:
        work.data_dir.set_aside(work.data_dir.path / path, "part")
    left = await work.journal.drop_parts(batch, paths)
    lost = PartsLost(left, batch.rows - left.rows, paths)
    await work.tell(lost)
    return lost


async def _move_parts(work: Work, batch: Batch, folder: str) -> None:
    """Move parts. They are linked before the journal knows, and unlinked after, so they are always somewhere."""
    parts = [part.path for part in await work.journal.parts(batch.id)]
    moves = {part: f"{folder}/{Path(part).name}" for part in parts if not part.startswith(f"{folder}/")}
    paths = {work.data_dir.path / old: work.data_dir.path / new for old, new in moves.items()}
    await trio.to_thread.run_sync(_link, paths)
    reach("parts linked")
    await work.journal.move_parts(moves)
    for path in paths:
        path.unlink(missing_ok=True)


def _link(paths: dict[Path, Path]) -> None:
    for old, new in paths.items():
        if not new.exists():
            link_or_copy(old, new)
