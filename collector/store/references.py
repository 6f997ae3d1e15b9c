"""The journal's book of references that are made: of which rows, and in which file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.store.steps import references

if TYPE_CHECKING:
    from collector.config.reference_from import ReferenceFrom
    from collector.store.records import Batch, MadeReference, Part
    from collector.store.writer import Writer


class ReferenceBook:
    """Enters which files were made; each method is one transaction."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def find_parts(self, batch: Batch, rule: ReferenceFrom) -> dict[str, list[Part]]:
        """Return the parts of a batch's reference, in order, by the batches that have them."""
        return await self._writer.execute(lambda db: references.find_parts(db, batch, rule))

    async def find(self, collector: str, report: str) -> MadeReference | None:
        """Return the file that was made last for a report."""
        return await self._writer.execute(lambda db: references.find_made(db, collector, report))

    async def enter(self, collector: str, report: str, made: MadeReference | None) -> MadeReference | None:
        """Enter a file in place of the one before, which is returned; None: there is none any more."""
        return await self._writer.execute(lambda db: references.enter_made(db, collector, report, made))

    async def known_files(self, collector: str | None = None) -> set[str]:
        """Return the paths of all such files, or of a collector's."""
        return await self._writer.execute(lambda db: references.known_paths(db, collector))
