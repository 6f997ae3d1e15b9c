"""``backfill``: batches of the past from files, one for each period, each once however often the command is run."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from collector.client.arrow import ARROW
from collector.commands.history import History
from collector.commands.progress import open_bar
from collector.commands.remote import PATIENT_RETRIES, as_collectors_answer, choose_collector
from collector.commands.remote_files import find_sources
from collector.config.durations import seconds_of
from collector.config.periods import DAY, Periods, check_period, check_zone
from collector.errors import CommandError, RequestRefused, ServiceUnavailable
from collector.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collector.client import CollectorClient
    from collector.commands.history import Body, Window
    from collector.commands.progress import Show
    from collector.commands.remote import Service
    from collector.commands.sources import Source

# How many batches may wait for their reports before the next is sent: each is a body on the service's disk.
MOST_WAITING = 20
_INTERVAL = 1.0
# How many windows of a plan are shown at its beginning and at its end.
_SHOWN = 10


@dataclass(frozen=True)
class Order:
    """The options: which files to read, and what to make of them."""

    collector_id: str
    files: Sequence[str]
    column: str
    period: str
    timezone: str = "UTC"
    is_dry: bool = False
    is_replacement: bool = False


def backfill(order: Order, service: Service) -> list[str]:
    """Make those batches of files that aren't there yet; say what was done. Raises CommandError with how to go on."""
    periods = _periods_of(order)
    with service.open() as client:
        collector_id = str(choose_collector(client.status(), order.collector_id)["id"])
    now = time.time()
    sources = find_sources(order.files)
    with TemporaryDirectory(prefix="backfill-") as scratch, open_bar() as progress:
        history = History(order.column, periods, now + DAY, Path(scratch))
        _read(history, sources, progress, is_kept=not order.is_dry)
        windows = [window for window in sorted(history.rows) if window[1] <= now]
        told = _left_out(order, history, windows)
        if order.is_dry:
            return [*_plan(windows, history, order.timezone), *told]
        with service.open(PATIENT_RETRIES) as client:
            sending = _Sending(client, collector_id, order)
            with _told_if_stopped():
                for number, body in enumerate(history.bodies(windows)):
                    progress(number / len(windows), f"{number} of {counted(len(windows), 'batch')} sent")
                    sending.send(body, progress)
    return [*sending.told(), *told]


class _Sending:
    """Sends bodies, but leaves the service time for live events."""

    def __init__(self, client: CollectorClient, collector_id: str, order: Order) -> None:
        self._client = client
        self._collector_id = collector_id
        self._order = order
        self._new = self._known = self._rows = 0

    def send(self, body: Body, progress: Show) -> None:
        """Send the rows of a window once the service has room."""
        self._wait(progress)
        start, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in body.window)
        query = {"start": start, "end": end, "backfill": "true"}
        if self._order.is_replacement:
            query["replace"] = "true"
        try:
            is_new = self._client.send_batch_body(self._collector_id, body.body, body.media_type, query)
        except RequestRefused as error:
            day = _shown(body.window[0], self._order.timezone)
            limit = "max_typed_body_bytes" if body.media_type == ARROW else "max_body_bytes"
            hint = f"take a shorter --period, or raise limits.{limit}" if error.status == 413 else _AGAIN
            raise CommandError(f"the batch of {day}, {counted(body.rows, 'row')}: {error.detail}", hint) from error
        self._new += is_new
        self._known += not is_new
        self._rows += body.rows * is_new

    def _wait(self, progress: Show) -> None:
        while True:
            status = choose_collector(self._client.status(), self._collector_id)
            with as_collectors_answer():
                waiting, problems = status["sealed"], status["problems"]
            if waiting < MOST_WAITING:
                return
            if problems:
                raise CommandError(f"{self._collector_id} makes no reports: {problems[0]}", _AGAIN)
            progress(None, f"{waiting} batches wait for their reports")
            time.sleep(_INTERVAL)

    def told(self) -> list[str]:
        """Say what was sent."""
        done = [f"{counted(self._new, 'batch')} of {counted(self._rows, 'row')} sent to {self._collector_id}"]
        if self._known:
            done.append(f"{counted(self._known, 'batch')} had been sent before; --replace computes their reports again")
        if self._new:
            done.append(
                "their reports are computed while nothing newer waits; 'evidently-collector status' says how many wait"
            )
        return done


_AGAIN = "then run the same command again: it goes on where this one stopped, and sends nothing twice"


def _periods_of(order: Order) -> Periods:
    try:
        return Periods(check_period(seconds_of(order.period)), check_zone(order.timezone))
    except ValueError as error:
        option = "--timezone" if "time zone" in str(error) else f"--period {order.period}"
        raise CommandError(f"{option}: {error}") from error


def _read(history: History, sources: Sequence[Source], progress: Show, *, is_kept: bool) -> None:
    for number, source in enumerate(sources):
        for _ in history.read(source, is_kept=is_kept):
            done = None if source.done is None else (number + source.done) / len(sources)
            progress(done, f"reading {Path(source.name).name}")
    if not history.rows:
        raise CommandError(f"no row has a time in '{history.column}'", "name the column of times with --time")


def _left_out(order: Order, history: History, windows: Sequence[Window]) -> list[str]:
    said = []
    if history.untimed:
        said.append(f"{counted(history.untimed, 'row')} left out: no time in '{order.column}'")
    if over := len(history.rows) - len(windows):
        said.append(f"{counted(over, 'period')} left out: not over yet")
    return said


def _plan(windows: Sequence[Window], history: History, timezone: str) -> list[str]:
    """Say what would be made."""
    lines = [f"{_shown(start, timezone)}  {counted(history.rows[start, end], 'row')}" for start, end in windows]
    if len(lines) > 2 * _SHOWN:
        lines[_SHOWN:-_SHOWN] = [f"… {len(lines) - 2 * _SHOWN} more"]
    rows = sum(history.rows[window] for window in windows)
    return [*lines, f"{counted(len(windows), 'batch')} of {counted(rows, 'row')} would be made; nothing was sent"]


def _shown(moment: int, timezone: str) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(timezone)).isoformat(" ", "minutes")


@contextmanager
def _told_if_stopped() -> Iterator[None]:
    try:
        yield
    except ServiceUnavailable as error:
        raise CommandError(f"stopped: {error}", _AGAIN.removeprefix("then ")) from error
    except KeyboardInterrupt as error:
        raise CommandError("stopped", _AGAIN.removeprefix("then "), exit_code=130) from error
