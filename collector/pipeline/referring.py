"""Referring: the references that the service makes itself.

Such a reference is a copy of a file in a store, or made of rows that came before. Its file is named after its contents,
so that a file that is made again after a crash is the same. The journal says which one counts; a start removes the
others.
"""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from collector.config.labels import LABELS
from collector.errors import EvaluationError, FilesDamaged, Problem
from collector.fault_points import reach
from collector.pipeline.failed import drop_damaged
from collector.store.records import MadeReference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.config import CollectorConfig
    from collector.config.reference_from import ReferenceFrom
    from collector.pipeline.work import Work
    from collector.store.records import Batch, Part

# Seconds between looks at a file in a store; it is looked at before a batch is evaluated.
LOOK_INTERVAL = 60.0
# The copy's name in the journal. References made of rows have other names: they are used again once the address is
# gone.
_STORE = "store"
_TRIES = 3


@dataclass(frozen=True)
class Compared:
    """A collector's config with the file that a batch is compared with; ``lacking`` says why there is none yet.

    Less than ``least_rows`` of it are no reference; 0: any will do.
    """

    config: CollectorConfig
    least_rows: int = 0
    lacking: str = ""


class Referring:
    """Finds the references of one collector."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._settled_for: CollectorConfig | None = None
        self._copy: MadeReference | None = None  # the copy of a file in a store
        self._looked = -math.inf
        self._trouble = ""

    @property
    def config(self) -> CollectorConfig:
        """The collector's config; if its reference is in a store, with the path of the copy, once there is one."""
        config = self._work.config
        is_copied = self._copy is not None and self._copy.source == config.remote_reference
        return config.compared_with(self._path(self._copy)) if self._copy is not None and is_copied else config

    async def look(self) -> list[Problem]:
        """Settle after a change of the config; copy a reference from a store, if there is another now.

        Returns what keeps reports from being computed: with a copy at hand, nothing does.
        """
        if self._settled_for is not self._work.config:
            await self._settle()
        address = self._work.config.remote_reference
        is_at_hand = self._copy is not None and self._path(self._copy).exists()
        if address is None or (is_at_hand and trio.current_time() < self._looked + LOOK_INTERVAL):
            return []
        self._looked = trio.current_time()
        try:
            await self._fetch(address)
        except EvaluationError as error:
            if not is_at_hand:
                return [Problem(("reference_path",), str(error))]
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._work.log.warning(
                    "the reference can't be read in its store; the last copy is used", error=str(error)
                )
        else:
            self._trouble = ""
        return []

    async def compared(self, batch: Batch) -> Compared:
        """Return what a batch is compared with, making it if need be."""
        rule = self._work.config.reference_from
        if rule is None or self._work.config.reference_path is not None:
            return Compared(self.config)
        for _ in range(_TRIES):
            with suppress(FilesDamaged):  # tried again with the parts that are left
                return await self._made(batch, rule)
        return await self._made(batch, rule)

    def take_damage(self, paths: Sequence[str]) -> None:
        """Set a file aside that was made and can't be read any more; another is made in its place."""
        for path in map(Path, paths):
            if path.name.startswith("made-") and self._work.data_dir.set_aside_reference(path):
                self._work.log.error("the reference is damaged, and set aside; it is made again", file=str(path))

    # After a change of the config

    async def _settle(self) -> None:
        """Find the references that are there, and remove useless ones; keep those that may be used again."""
        work, config = self._work, self._work.config
        rule, address = config.reference_from, config.remote_reference
        sources = {address} if config.reference_path else {rule.words if rule is not None else None}
        self._copy, self._looked = None, -math.inf
        work.note(reference=None)
        for report in (*config.reports, _STORE):
            made = await work.journal.references.find(work.id, report)
            if made is None:
                continue
            if made.source in sources and self._path(made).exists():
                self._copy = made if report == _STORE else None
                self._show(report, made)
            elif not made.is_kept:
                await self._replace(report, None)
        self._settled_for = config

    # References from a store

    async def _fetch(self, address: str) -> None:
        work = self._work
        known = self._copy.path if self._copy is not None and self._path(self._copy).exists() else ""
        private = work.service.private_of(work.config)
        fetched = await work.tools.workers.fetch_reference(address, work.data_dir.path, known, private)
        if fetched is None:
            return
        reach("reference written")
        made = MadeReference(fetched.path, address, fetched.rows, work.tools.clocks.now())
        await self._replace(_STORE, made)
        self._copy = made
        self._show(_STORE, made)
        work.log.info("reference read", address=address, rows=made.rows)
        work.to_rehearse.ring()

    # References made of rows

    async def _made(self, batch: Batch, rule: ReferenceFrom) -> Compared:
        book, config = self._work.journal.references, self._work.config
        known = await book.find(batch.collector, batch.report)
        if known is not None and not self._path(known).exists():
            if known.is_kept and known.source == rule.words:
                self._work.log.error("the reference is gone: it is made of the oldest rows that are still here")
            known = None
        if known is None or not known.is_kept or known.source != rule.words:
            parts = await book.find_parts(batch, rule)
            rows = min(sum(part.rows for some in parts.values() for part in some), rule.first_rows or math.inf)
            if rows < rule.least_rows:
                return self._lacking(batch, rule, int(rows))
            made = self._named(parts, int(rows), rule)
            if known is None or known.path != made.path:
                if why := await self._make(batch.report, made, parts):
                    return Compared(config, lacking=why)
                known = made
        self._show(batch.report, known)
        return Compared(
            config.compared_with(self._path(known), cache_reference=config.cache_reference and known.is_kept),
            rule.least_rows,
        )

    def _lacking(self, batch: Batch, rule: ReferenceFrom, rows: int) -> Compared:
        if batch.report != LABELS:
            self._work.note(reference={"from": rule.words, "rows": rows, "needs": rule.least_rows})
        why = f"there is no reference yet: it is made of {rule.words}, and {rows} of {rule.least_rows} rows are there"
        return Compared(self._work.config, lacking=why)

    def _named(self, parts: Mapping[str, Sequence[Part]], rows: int, rule: ReferenceFrom) -> MadeReference:
        names = [Path(part.path).name for some in parts.values() for part in some]
        version = hashlib.sha256(" ".join([str(rows), *names]).encode()).hexdigest()
        path = self._work.data_dir.made_reference(rule.words, version)
        return MadeReference(path, rule.words, rows, self._work.tools.clocks.now(), rows == rule.first_rows)

    async def _make(self, report: str, made: MadeReference, parts: Mapping[str, Sequence[Part]]) -> str:
        """Make a reference and put it in force; return why that failed. Raises FilesDamaged if parts are gone."""
        work = self._work
        paths = [str(work.data_dir.path / part.path) for some in parts.values() for part in some]
        private = work.service.private_of(work.config)
        try:
            await work.tools.workers.make_reference(paths, made.rows, self._path(made), private)
        except FilesDamaged as error:
            for id_ in parts:
                batch = await work.journal.find_batch(id_)
                if batch is not None:
                    await drop_damaged(work, batch, error.paths)
            raise
        except EvaluationError as error:
            if not error.detail:  # the process failed, not the rows
                raise
            work.log.warning("the reference can't be made", error=str(error))
            return str(error)
        reach("reference written")
        await self._replace(report, made)
        reach("reference entered")
        return ""

    # Both kinds

    async def _replace(self, report: str, made: MadeReference | None) -> None:
        work = self._work
        before = await work.journal.references.enter(work.id, report, made)
        if before is not None and (made is None or before.path != made.path):
            work.data_dir.remove_keys([before.path])

    def _show(self, report: str, made: MadeReference) -> None:
        if report != LABELS:
            self._work.note(reference={"from": made.source, "rows": made.rows, "since": made.since})

    def _path(self, made: MadeReference) -> Path:
        return self._work.data_dir.path / made.path
