"""Failed batches: kept in a folder of their own beside what went wrong, until somebody has them evaluated again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import trio

from collector.fault_points import reach

if TYPE_CHECKING:
    from pathlib import Path

    from collector.pipeline.work import Work
    from collector.store.statements import Batch


async def set_aside(work: Work, batch: Batch, error: str, detail: str = "", **changes: int) -> None:
    """Take a batch to ``failed``, its parts to its folder beside the error's text.

    They are linked there before the journal knows, and unlinked from where they were after: they are never nowhere.
    """
    folder = work.data_dir.failed(batch.id)
    parts = [work.data_dir.path / part.path for part in await work.journal.parts(batch.id)]
    await trio.to_thread.run_sync(_link_into, folder, parts, f"{error}\n\n{detail}".rstrip() + "\n")
    reach("set aside")
    moved = [path for path in parts if path.parent != folder]
    await work.journal.move_parts({f"parts/{path.name}": f"failed/{batch.id}/{path.name}" for path in moved})
    for path in moved:
        path.unlink()
    await work.journal.mark(batch, "failed", error=error, **changes)
    reach("failed")


def _link_into(folder: Path, parts: list[Path], text: str) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "error.txt").write_text(text, encoding="utf-8")
    for path in parts:
        if path.parent != folder and not (folder / path.name).exists():
            try:
                (folder / path.name).hardlink_to(path)
            except OSError:  # not every file system has them
                shutil.copy2(path, folder / path.name)
