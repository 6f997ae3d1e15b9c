"""Whether a collector's config can be used: the one answer for ``check``, a POST, and an edit of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collector.config import CollectorConfig
    from collector.formats.private import Private
    from collector.workers.pool import Workers
    from collector.workspaces.workspace import Workspaces


_NO_VALUES = "there is no reference to take the segments from; name the values here, or give a reference_path"


@dataclass(frozen=True)
class Checks:
    """Looks at configs with Evidently's help, and at the files that they name, which lie in ``base``."""

    workers: Workers
    workspaces: Workspaces
    base: Path
    data_dir: Path

    async def find_problems(
        self,
        config: CollectorConfig,
        others: Iterable[CollectorConfig],
        *,
        known: CollectorConfig | None = None,
        private: Private | None = None,
        is_from_client: bool = False,
    ) -> list[Problem]:
        """Return all that is wrong with a collector's report, workspace and reference, beside the ``others``.

        ``private`` is what is done to the columns of its reference. What is as in ``known``, a config that is at work
        already, isn't checked again, but for a client, which waits
        for the answer. From a client, the reference isn't read: clients send it afterwards, and the original's name an
        absolute path, which the status tells of; unless it is the operator's, which is in use.
        """
        problems = config.outside(self.base, self.data_dir)
        is_in_use = known is not None and not known.is_posted and known.reference_path == config.reference_path
        if is_from_client and not is_in_use and Path(config.reference_path or "").is_absolute():
            problems = [problem for problem in problems if problem.path != ("reference_path",)]
        if is_from_client or known is None or _snapshots(config) != _snapshots(known):
            problems += await self.workspaces.open_workspace(config).problems(others)
        if is_from_client or known is None or _report(config) != _report(known):
            problems += await self.workers.check(config)
        tables = config.tables(self.base)
        if is_from_client:
            tables.pop(("reference_path",), None)
        at_work = {} if known is None else known.tables(self.base)
        for field, path in tables.items():
            if at_work.get(field) != path:
                problems += await self.workers.check_table(path, field)
        address = config.remote_reference
        if address is not None and not is_from_client and (known is None or known.remote_reference != address):
            problems += await self.workers.check_address(address)
        if not is_from_client and (known is None or _rows(config) != _rows(known)):
            problems += await self._problems_of_rows(config, private, problems)
        return problems

    async def _problems_of_rows(
        self, config: CollectorConfig, private: Private | None, found: list[Problem]
    ) -> list[Problem]:
        """Return what is wrong with ``where`` and ``segments``; a reference with problems in ``found`` isn't read."""
        reference = config.reference_file(self.base)
        if config.remote_reference or (reference is None and config.reference_from is not None):
            return []  # it is checked once it is here
        if reference is None:
            needs = config.segments is not None and config.segments.needs_reference and not config.is_posted
            return [Problem(("segments", "values"), _NO_VALUES)] if needs else []
        is_sound = all(problem.path[:1] != ("reference_path",) for problem in found)
        is_asked = bool(config.where) or config.segments is not None
        return await self.workers.check_rows(config, reference, private) if is_sound and is_asked else []


def _rows(config: CollectorConfig) -> tuple[object, ...]:
    return config.where, config.segments, config.reference_path, config.columns


def _snapshots(config: CollectorConfig) -> tuple[object, ...]:
    return config.api_url, config.is_cloud, config.project_id, config.report_config.generation


def _report(config: CollectorConfig) -> tuple[object, ...]:
    return config.report_config, config.data_definition, config.column_mapping, config.labels
