"""Intake: what happens to a request once its head is read, whoever reads it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import trio

from collector.config import CollectorConfig
from collector.config.model import check_id
from collector.config.workspace import MASK, is_from_environment
from collector.errors import (
    BadBody,
    BufferFull,
    CollectorError,
    ConfigChanged,
    ConfigConflict,
    ConfigError,
    NotReady,
    Unauthorized,
)
from collector.fault_points import reach
from collector.formats.bounds import Bounds
from collector.formats.frames import TYPED_FORMATS, check_frame, format_of
from collector.formats.json_body import loads
from collector.ingest.http.bodies import MAX_HELD, MAX_WRITE, Bodies, announced_length, max_bytes, read_body
from collector.ingest.http.probes import Check
from collector.ingest.http.problems import Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.config import Limits
    from collector.formats.frames import Format, Frame
    from collector.ingest.spool import Spool
    from collector.status.counts import Answered
    from collector.status.status import ConfigState, Status
    from collector.store.journal import Journal
    from collector.store.records import Batch
    from collector.store.writer import Order
    from collector.supervision.supervisor import Supervisor

SECRET_HEADER = "evidently-secret"  # noqa: S105  (its name)
# Parsing holds the GIL, so a thread is no gain for a small body, and its hop costs more than the parsing.
SMALL_BODY = 64 * 2**10
MAX_KEY_LENGTH = 255
# A config is looked at as a whole each time that one of all is saved; that of a thousand legacy metrics has 400 kB.
MAX_CONFIG = 2_000_000
ACCEPTED = json_answer({}, 201)
# Says that a request's idempotency key had come before, so that nothing was kept again.
_REPLAYED = replace(ACCEPTED, headers={**ACCEPTED.headers, "Idempotent-Replayed": "true"})
# States in which a collector keeps events and can't do more with them until something is mended.
_TROUBLED = {"undelivered", "misconfigured", "crashed"}
_WITHHELD = "GET / says more"


@dataclass(frozen=True)
class Head:
    """What of a request's head matters to us."""

    content_type: str = ""
    content_encoding: str = ""
    content_length: str | None = None
    idempotency_key: str = ""
    if_match: str = ""
    if_none_match: str = ""

    def agree(self, config: CollectorConfig | None) -> None:
        """Raise ConfigChanged unless this is the config that the request means to change (RFC 9110, 13.1)."""
        found = "" if config is None else entity_tag(config)
        if self.if_match and not _names(self.if_match, found):
            raise ConfigChanged("the collector's config was changed meanwhile; get it again, then repeat the change")
        if self.if_none_match and _names(self.if_none_match, found):
            raise ConfigChanged("there is such a collector already")


@dataclass(slots=True)
class Begun:
    """A request whose frame is ordered to be kept."""

    collector_id: str
    frame: Frame
    order: Order[bool]


class Intake:
    """Takes events, references and configs in, and gives out what is known of collectors."""

    def __init__(self, supervisor: Supervisor, journal: Journal, spool: Spool, secret: str | None) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._spool = spool
        self._secret = secret
        self._bodies = Bodies()
        self._threads = trio.CapacityLimiter(4)

    def authorize(self, secret: str | None) -> None:
        """Raise Unauthorized unless the request carries the service's secret, if it has one."""
        if not self.is_authorized(secret):
            raise Unauthorized

    def is_authorized(self, secret: str | None) -> bool:
        """Tell whether a request carries the service's secret, or it has none."""
        if self._secret is None:
            return True
        given = (secret or "").encode("latin-1", "replace")  # as bytes of a header are read into text
        return hmac.compare_digest(given, self._secret.encode())

    def count_refusal(self, collector_id: str, error: CollectorError) -> None:
        """Count events that were refused; what isn't the id of a collector that is there is never kept."""
        counts = self._supervisor.counts
        is_known = collector_id in self._supervisor.config.collectors
        refused = counts.of(collector_id).refused_requests if is_known else counts.refused_requests
        refused[_snake(type(error).__name__)] += 1

    def count_answer(self, kind: Answered, seconds: float) -> None:
        """Count a request that was answered."""
        counts = self._supervisor.counts
        counts.answered[kind] += 1
        counts.answer_seconds[kind.route].observe(seconds)

    def checks(self, *, is_trusted: bool) -> list[Check]:
        """Look at all that may be wrong; who isn't trusted is told of collectors and config without their words."""
        status, limit = self._supervisor.service_status(), self._limits.max_buffered_bytes
        is_full = self._journal.buffered_bytes_in_all >= limit
        return [
            Check("disk", self._journal.trouble, is_vital=True),
            Check("room", f"{limit} bytes are undelivered, as many as may wait; events are refused" if is_full else ""),
            Check("config", _config_trouble(status.config, is_trusted=is_trusted)),
            Check("collectors", _collectors_trouble(status.collectors, is_trusted=is_trusted)),
        ]

    async def take_data(self, collector_id: str, head: Head, chunks: bytes | AsyncIterable[bytes]) -> Answer:
        """Keep the rows of a body, which is here whole or comes in; answers once they are durable."""
        if isinstance(chunks, bytes) and is_small(head, len(chunks)):
            return await self._wait(self.begin(collector_id, head, chunks))
        self._admit(collector_id, head)
        async with self._frame(head, chunks) as frame:
            self._supervisor.pipeline(collector_id)  # it may have been deleted while the body arrived
            begun = self._begin(collector_id, head, frame)
            return self.finish(begun) if self.commit() else await self._wait(begun)

    def begin(self, collector_id: str, head: Head, body: bytes) -> Begun:
        """Order that the rows of a small body be kept, and don't wait for it; ``finish`` answers once it is done."""
        self._admit(collector_id, head)
        announced = announced_length(head.content_length, max_bytes(self._limits, format_of(head.content_type)))
        self._bodies.check(self._limits, announced)
        _refuse_empty(body)
        return self._begin(collector_id, head, self._check(head, body))

    def finish(self, begun: Begun) -> Answer:
        """Answer a request whose order is done; raise what hindered it."""
        try:
            is_new = begun.order.value
        except CollectorError:
            self._spool.drop(begun.frame)
            raise
        if not is_new:
            self._spool.drop(begun.frame)
        counts = self._supervisor.counts.of(begun.collector_id)
        counts.accepted_requests += 1
        counts.accepted_bytes += len(begun.frame.body)
        reach("accepted")
        return ACCEPTED if is_new else _REPLAYED

    def commit(self) -> bool:
        """Carry out what is begun, and return whether it is done already."""
        return self._journal.commit()

    async def _wait(self, begun: Begun) -> Answer:
        await begun.order.wait_done()
        return self.finish(begun)

    def _admit(self, collector_id: str, head: Head) -> None:
        """Refuse a request before its body is looked at."""
        self._supervisor.pipeline(collector_id)
        self._check_room(collector_id)
        check_key(head.idempotency_key)

    def _begin(self, collector_id: str, head: Head, frame: Frame) -> Begun:
        key, body = head.idempotency_key, frame.body
        digest = hashlib.sha256(body).hexdigest() if key and isinstance(body, bytes) else getattr(body, "digest", "")
        order = self._journal.order_append(collector_id, frame, key, digest)
        if frame.rows:
            self._spool.keep(frame)
        return Begun(collector_id, frame, order)

    async def take_reference(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Make the rows of a body the reference, from the next batch on."""
        self._supervisor.pipeline(collector_id)
        async with self._frame(head, chunks) as frame:
            if not frame.rows:
                raise BadBody("the reference has no rows; a report compares with at least one")
            await self._take_edits()
            self._supervisor.pipeline(collector_id)
            await self._supervisor.set_reference(collector_id, frame)
        return json_answer({}, 201)

    async def take_config(self, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Add or replace a collector, once its config has been checked whole."""
        async with self._body(head, chunks, min(self._limits.max_body_bytes, MAX_CONFIG)) as body:
            await self._take_edits()
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
        """Take what was edited in the config file; say what that changed."""
        return json_answer(await self._supervisor.reload())

    async def logs(self, collector_id: str) -> Answer:
        """Tell what became of a collector's batches, newest first."""
        self._supervisor.pipeline(collector_id)
        return json_answer(await self._journal.logs(collector_id))

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

    async def delete(self, collector_id: str, head: Head) -> Answer:
        """Remove a collector with all its events."""
        await self._take_edits()
        rows = await self._supervisor.delete(collector_id, head.agree)
        return json_answer({"id": collector_id, "rows_dropped": rows})

    def status(self) -> Answer:
        """Say how the service and each collector stand."""
        return json_answer(self._supervisor.service_status())

    async def _take_edits(self) -> None:
        """Have an edit of the config file come before a client's change, which would be saved over it."""
        if not self._supervisor.config.autosave:
            return
        try:
            await self._supervisor.reload()
        except ConfigError as error:
            raise ConfigConflict(
                f"the config file was edited, and can't be taken so: {error}; have that mended, then repeat the change"
            ) from error

    @property
    def _limits(self) -> Limits:
        return self._supervisor.config.limits

    def _check_room(self, collector_id: str) -> None:
        """Refuse events while too many wait already."""
        limits = self._limits
        if self._journal.buffered_bytes(collector_id) >= limits.max_collector_bytes:
            raise BufferFull(
                f"{limits.max_collector_bytes} bytes of the collector's events are not delivered yet, as many as may "
                "wait; nothing was kept, try again once they are"
            )
        if self._journal.buffered_bytes_in_all >= limits.max_buffered_bytes:
            raise NotReady(
                f"{limits.max_buffered_bytes} bytes of events are not delivered yet, as many as may wait; nothing was "
                "kept, try again once they are"
            )

    @asynccontextmanager
    async def _body(self, head: Head, chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[bytes]:
        """Read a body, which has its place in memory as long as the context lasts."""
        with self._bodies.admit(self._limits, announced_length(head.content_length, limit)) as place:
            body = await read_body(chunks, head.content_encoding, limit, self._limits.body_timeout, place)
            _refuse_empty(body)
            yield body

    @asynccontextmanager
    async def _frame(self, head: Head, chunks: bytes | AsyncIterable[bytes]) -> AsyncIterator[Frame]:
        """Read and check the rows of a body; a large one is in a file, which is gone after the context if not kept."""
        format_ = format_of(head.content_type)
        limit, timeout = max_bytes(self._limits, format_), self._limits.body_timeout
        announced = min(announced_length(head.content_length, limit), MAX_WRITE)
        with (
            self._bodies.admit(self._limits, announced) as place,
            self._spool.open(format_, is_digested=bool(head.idempotency_key)) as file,
        ):
            body = await read_body(chunks, head.content_encoding, limit, timeout, place, file)
            if file.is_begun or len(body) > MAX_HELD:
                yield await self._spool.check(file, body, format_, self._bounds(format_))
                return
            _refuse_empty(body)
            if is_small(head, len(body)):
                yield self._check(head, body)
            else:
                yield await trio.to_thread.run_sync(self._check, head, body, limiter=self._threads)

    def _bounds(self, format_: Format) -> Bounds:
        return Bounds(max_bytes(self._limits, format_), self._limits.max_rows, self._limits.max_columns)

    def _check(self, head: Head, body: bytes) -> Frame:
        """Make sure that a body is a table within the limits."""
        format_ = format_of(head.content_type)
        return check_frame(format_, body, self._bounds(format_))

    def _read_config(self, collector_id: str, body: bytes) -> CollectorConfig:
        try:
            check_id(collector_id)
        except ValueError as error:
            raise ConfigError.at(str(error), "id") from error
        data = loads(body)
        config = CollectorConfig.parse({**data, "id": collector_id} if isinstance(data, dict) else data)
        if config.is_posted or (isinstance(data, dict) and "is_posted" in data):
            raise ConfigError.at("a client can't say this; the operator can, in the config file", "is_posted")
        known = self._supervisor.config.collectors.get(collector_id)
        if known is not None:
            config = config.unmasked(known)
        self._check_secret(config)
        if config.api_secret == MASK and known is not None:
            config = config.model_copy(update={"api_secret": known.api_secret})
        config.secret()
        return config.model_copy(update={"is_posted": known is None or known.is_posted or _names_others(config, known)})

    def _check_secret(self, config: CollectorConfig) -> None:
        """Let a client name a secret that it doesn't know only as the operator has it, for the same api_url."""
        secret = config.api_secret
        if secret is None or (secret != MASK and not is_from_environment(secret)):
            return
        known = self._supervisor.config.collectors.get(config.id)
        if known is None or known.api_url != config.api_url or secret not in {MASK, known.api_secret}:
            raise ConfigError.at(
                "a client may leave it masked, or as ${NAME}, only as it stands in this collector's config and for "
                "the same api_url; write the secret itself, or have the operator write it into the config file",
                "api_secret",
            )


def is_small(head: Head, size: int) -> bool:
    """Tell whether a body is checked in less time than it takes to have that done by another thread."""
    return size <= SMALL_BODY and format_of(head.content_type) not in TYPED_FORMATS


def _refuse_empty(body: bytes) -> None:
    if not body or body.isspace():
        raise BadBody("the body is empty")


def _config_answer(config: CollectorConfig, status: int = 200) -> Answer:
    answer = json_answer(config.masked(), status)
    return replace(answer, headers={**answer.headers, "ETag": entity_tag(config)})


def entity_tag(config: CollectorConfig) -> str:
    """Give a collector's ETag: that of what is shown of its config."""
    return f'"{hashlib.sha256(json_answer(config.masked()).body).hexdigest()[:32]}"'


def _names(tags: str, found: str) -> bool:
    """Tell whether a condition's list of ETags names one that was found, "" for none."""
    return bool(found) and (tags.strip() == "*" or found in re.split(r"\s*,\s*", tags.strip()))


def _names_others(config: CollectorConfig, known: CollectorConfig) -> bool:
    """Tell whether a posted config names other places than the operator's."""
    return (config.reference_path, config.api_url) != (known.reference_path, known.api_url)


def _config_trouble(config: ConfigState, *, is_trusted: bool) -> str:
    if config.error:
        return f"the last edit isn't in force: {config.error if is_trusted else _WITHHELD}"
    if config.needs_restart:
        return f"a restart is needed to take in what changed: {', '.join(config.needs_restart)}"
    return ""


def _collectors_trouble(collectors: Sequence[Status], *, is_trusted: bool) -> str:
    troubled = [f"{one.id} ({one.state})" for one in collectors if one.state in _TROUBLED]
    if not troubled:
        return ""
    return f"{len(troubled)} of {len(collectors)} in trouble: {', '.join(troubled) if is_trusted else _WITHHELD}"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def check_key(key: str) -> None:
    """Raise BadBody for what can't be an idempotency key."""
    if len(key) > MAX_KEY_LENGTH or not (key.isascii() and (key.isprintable())):
        raise BadBody(f"an Idempotency-Key has at most {MAX_KEY_LENGTH} characters, all of them printable ASCII")


def _shown(batch: Batch) -> dict[str, Any]:
    return {"batch_id": batch.id, "rows": batch.rows, "error": batch.error, "attempts": batch.attempts}
