"""Admin: references and configs come in, and what is known of collectors goes out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from collector.config import CollectorConfig
from collector.config.labels import REPORTS
from collector.config.model import check_id
from collector.config.posted import as_meant
from collector.errors import BadBody, ConfigConflict, ConfigError
from collector.formats.bounds import SMALL_BODY
from collector.formats.json_body import loads
from collector.ingest.http.head import entity_tag
from collector.ingest.http.problems import json_answer
from collector.status.telling import iso
from collector.status.verdict import TOLD
from collector.store.tapping import MAX_ROWS
from collector.wording import json_kind, no_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from collector.ingest.http.head import Head
    from collector.ingest.http.problems import Answer
    from collector.ingest.http.receiving import Receiving
    from collector.store.journal import Journal
    from collector.store.records import Batch, Snapshot
    from collector.supervision.supervisor import Supervisor

# Bytes of a config. Each save checks all configs as a whole; that of a thousand legacy metrics has 400 kB.
MAX_CONFIG = 2_000_000


# How many snapshots are shown, unless a request says how many.
SHOWN_SNAPSHOTS = 50
MAX_SHOWN_SNAPSHOTS = 1000


class Admin:
    """Answers all that is asked about collectors, but for their events."""

    def __init__(self, supervisor: Supervisor, journal: Journal, receiving: Receiving) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._receiving = receiving
        self._threads = trio.CapacityLimiter(4)

    async def set_reference(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Make the rows of a body the reference, from the next batch on."""
        self._supervisor.pipeline(collector_id)
        async with self._receiving.open_frame(collector_id, head, chunks) as frame:
            if not frame.rows:
                raise BadBody(no_rows("the reference"))
            await self._apply_edits()
            self._supervisor.pipeline(collector_id)
            await self._supervisor.set_reference(collector_id, frame)
        return json_answer({}, 201)

    async def put_config(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Add or replace a collector, once its config has been checked whole."""
        limit = min(self._supervisor.config.limits.max_body_bytes, MAX_CONFIG)
        async with self._receiving.open_body(head, chunks, limit) as body:
            await self._apply_edits()
            if len(body) <= SMALL_BODY:
                config = self._read_config(collector_id, body)
            else:
                config = await trio.to_thread.run_sync(self._read_config, collector_id, body, limiter=self._threads)
        await self._supervisor.check(config)
        await self._supervisor.put(config, head.agree)
        return _config_answer(config, 201)

    def config(self, collector_id: str) -> Answer:
        """Show a collector's config, but for its secret."""
        return _config_answer(self._supervisor.pipeline(collector_id).config)

    async def reload(self) -> Answer:
        """Put the edited config file in force; say what that changed."""
        return json_answer(await self._supervisor.reload())

    async def logs(self, collector_id: str) -> Answer:
        """Tell what became of a collector's batches, newest first."""
        self._supervisor.pipeline(collector_id)
        return json_answer(await self._journal.logs(collector_id))

    async def tap(self, collector_id: str, after: str, rows: str) -> Answer:
        """Show a few of the rows that have come after a number; without one, say with which to begin."""
        last = None if after == "" else _number("after", after, 0, 2**62)
        most = _number("rows", rows, 1, MAX_ROWS)
        return json_answer(await self._supervisor.newest_rows(collector_id, last, most))

    async def snapshots(self, collector_id: str, limit: str | None, report: str, segment: str) -> Answer:
        """Tell what came of a collector's last batches for a report, or of a segment of them, newest first."""
        self._supervisor.pipeline(collector_id)
        if report not in REPORTS:
            raise BadBody(f"'report' must be one of {', '.join(REPORTS)}, not '{report[:100]}'")
        most = SHOWN_SNAPSHOTS if limit is None else _number("limit", limit, 1, MAX_SHOWN_SNAPSHOTS)
        found = await self._journal.snapshots(collector_id, most, report=report, segment=segment)
        # Not on the event loop: a thousand snapshots may have some 10 MB.
        return await trio.to_thread.run_sync(lambda: json_answer([_told(one) for one in found]), limiter=self._threads)

    async def flush(self, collector_id: str) -> Answer:
        """Seal what waits, and have it evaluated."""
        batch = await self._supervisor.pipeline(collector_id).flush()
        if batch is None:
            return json_answer({"batch_id": None, "rows": 0})
        return json_answer({"batch_id": batch.id, "rows": batch.rows}, 202)

    async def failed(self, collector_id: str) -> Answer:
        """List the batches whose report failed, oldest first; they are kept."""
        batches = await self._supervisor.pipeline(collector_id).failed()
        return json_answer([_shown(batch) for batch in batches])

    async def retry(self, collector_id: str) -> Answer:
        """Have the batches evaluated again whose report failed."""
        batches = await self._supervisor.pipeline(collector_id).retry()
        return json_answer([_shown(batch) for batch in batches], 202)

    async def show_dashboard(self, collector_id: str) -> Answer:
        """Make its dashboard in the workspace's project again."""
        panels = await self._supervisor.pipeline(collector_id).show_dashboard()
        return json_answer({"id": collector_id, "panels": panels})

    async def delete(self, collector_id: str, head: Head) -> Answer:
        """Remove a collector with all its events."""
        await self._apply_edits()
        rows = await self._supervisor.delete(collector_id, head.agree)
        return json_answer({"id": collector_id, "rows_dropped": rows})

    async def rename(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Give a collector the id that a body names; all that is its own goes with it."""
        async with self._receiving.open_body(head, chunks, SMALL_BODY) as body:
            asked = loads(body)
        if not isinstance(asked, dict) or asked.keys() != {"id"}:
            raise ConfigError.at('an object with the new id is expected, as {"id": "churn-2"}')
        new = _checked_id(asked["id"])
        await self._apply_edits()
        return _config_answer(await self._supervisor.rename(collector_id, new, head.agree))

    def status(self) -> Answer:
        """Say how the service and each collector stand."""
        return json_answer(self._supervisor.service_status())

    async def _apply_edits(self) -> None:
        """Apply an edit of the config file first: saving a client's change would overwrite it."""
        if not self._supervisor.config.autosave:
            return
        try:
            await self._supervisor.reload()
        except ConfigError as error:
            raise ConfigConflict(
                f"the config file was edited, and has a mistake: {error}; fix that, then send the change again"
            ) from error

    def _read_config(self, collector_id: str, body: bytes) -> CollectorConfig:
        _checked_id(collector_id)
        data = loads(body)
        config = CollectorConfig.parse({**data, "id": collector_id} if isinstance(data, dict) else data)
        if config.is_posted or (isinstance(data, dict) and "is_posted" in data):
            raise ConfigError.at("only the operator can set this, in the config file", "is_posted")
        return as_meant(config, self._supervisor.config.collectors.get(collector_id))


def _checked_id(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError.at(f"a string is expected, not {json_kind(value)}", "id")
    try:
        return check_id(value)
    except ValueError as error:
        raise ConfigError.at(str(error), "id") from error


def _number(name: str, text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20 or not least <= int(text) <= most:
        raise BadBody(f"'{name}' must be a whole number from {least} to {most}")
    return int(text)


def _config_answer(config: CollectorConfig, status: int = 200) -> Answer:
    answer = json_answer(config.masked(), status)
    return replace(answer, headers={**answer.headers, "ETag": entity_tag(config)})


def _shown(batch: Batch) -> dict[str, Any]:
    return {"batch_id": batch.id, "rows": batch.rows, "error": batch.error, "attempts": batch.attempts}


def _told(one: Snapshot) -> dict[str, Any]:
    """Return what a client is told of a snapshot, or of a failed report, which has little more than an error."""
    return {
        "batch_id": one.batch,
        "report": one.report,
        "segment": one.segment,
        "state": one.state,
        "rows": one.rows,
        "window": [iso(one.opened), iso(one.sealed)],
        "made": iso(one.made),
        "delivered": None if one.delivered is None else iso(one.delivered),
        "bad_since": None if one.bad_since is None else iso(one.bad_since),
        "error": one.error,
        **{name: one.outcome[name] for name in TOLD if name in one.outcome},
    }
