"""Logs: a line an event on standard error, made for reading in a terminal and for parsing elsewhere."""

from __future__ import annotations

import atexit
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO, cast

from collector.status.findings import drift_count_words, tests_words
from collector.views.lossy import MISSING, Background, Lossy, gap
from collector.views.terminal import open_terminal
from collector.views.words import printable
from collector.wording import counted, short_id

_HAS_RICH = sys.modules.setdefault("rich", cast("Any", None)) is not None
import structlog  # noqa: E402  (it imports rich, if it can be had, for tracebacks that we have written otherwise: 22 to 42 ms of a start)

if not _HAS_RICH:
    del sys.modules["rich"]

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from rich.console import Console
    from rich.text import Text

    from collector.views.terminal import Terminal

    _Event = MutableMapping[str, Any]

_STYLES = {"debug": "dim", "info": "", "warning": "magenta", "error": "bold red"}
# Seconds that the end waits for whoever reads the log.
_PATIENCE = 0.5


def set_up_logs(form: str = "text", level: str = "info", *, is_live: bool = False) -> Terminal | None:
    """Write to standard error: as JSON; or for a person if it is a terminal, as ``key=value`` otherwise.

    Returns the terminal, for a view below the lines, if one is wanted (``is_live``) and can be had.
    """
    terminal = open_terminal(sys.stderr) if is_live and form == "text" else None
    lossy = _open_stream(terminal, form)
    atexit.register(lossy.finish, _PATIENCE)
    sys.stderr = stream = cast("TextIO", lossy)  # what other libraries write to it, or warn of, must not wait either
    is_for_person = form == "text" and stream.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            *(_for_terminal(stream) if is_for_person else _for_machines() if form == "json" else _for_files()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    return terminal


def _open_stream(terminal: Terminal | None, form: str) -> Lossy:
    """Return a stream that never makes the event loop wait: our terminal doesn't; for all else, a thread waits."""
    if terminal is not None:
        return Lossy(cast("TextIO", terminal))
    tell = _gap_in_json if form == "json" else gap
    try:
        return Background(sys.stderr, tell)
    except OSError:  # no file, but an object in memory
        return Lossy(sys.stderr, tell)


def _gap_in_json(lines: int) -> str:
    told = {"time": datetime.now(UTC).isoformat(), "level": "warning", "event": MISSING, "lines": lines}
    return json.dumps(told) + "\n"


def _for_files() -> list[structlog.typing.Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=False),
    ]


def _for_machines() -> list[structlog.typing.Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        lambda _logger, _name, event: {"time": None, "level": None, "event": None} | dict(event),
        structlog.processors.JSONRenderer(default=str),
    ]


def _for_terminal(stream: TextIO) -> list[structlog.typing.Processor]:
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    return [lambda _logger, _name, event: _print(console, event)]


def _print(console: Console, event: _Event) -> str:
    console.print(terminal_line(event, datetime.now().astimezone()), soft_wrap=True)
    raise structlog.DropEvent


def terminal_line(event: _Event, now: datetime) -> Text:
    """Make the line of an event: when, which collector, what, and the rest in words where there are words for it."""
    from rich.text import Text

    style = _STYLES.get(event.pop("level"), "")
    parts = [(f"{now:%H:%M:%S}  ", "dim")]
    if "collector" in event:
        parts.append((f"{event.pop('collector')}  ", "bold"))
    parts.append((str(event.pop("event")), style))
    trace = event.pop("exception", "")
    details = ", ".join(_details(event))
    if details:
        parts.append((f"  {details}", "dim"))
    if trace:
        parts.append((f"\n{trace}", ""))
    return Text.assemble(*((printable(text), style) for text, style in parts))


def _details(event: _Event) -> list[str]:
    said = []
    if "rows" in event:
        said.append(counted(event.pop("rows"), "row"))
    said += _found(event)
    if "batch" in event:
        said.append(f"batch {short_id(event.pop('batch'))}")
    return said + [f"{name} {_in_words(value)}" for name, value in event.items()]


def _found(event: _Event) -> Iterator[str]:
    """Say what a report found: each number with the total that it is part of, if there is one."""
    if "drifted_columns" in event:
        said = drift_count_words(event)
        for name in ("drift_share", "drifted_columns", "columns"):
            event.pop(name, None)
        yield f"{said}{_which(event, 'drifted')}"
    if "failed_metrics" in event:
        yield f"{event.pop('failed_metrics')} could not be computed{_which(event, 'not_computed')}"
    if tests := event.pop("tests", {}):
        yield f"{tests_words(tests)}{_which(event, 'tests_failed')}"
    for name in ("values", "trend"):
        if name in event:
            yield event.pop(name)


def _which(event: _Event, name: str) -> str:
    return f" ({event.pop(name)})" if name in event else ""


def _in_words(value: Any) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
