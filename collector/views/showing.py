"""``evidently-collector status``: the state of a service that runs elsewhere, once or live."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.text import Text

from collector.errors import CollectorError, ServiceUnavailable
from collector.status.status import read_status
from collector.views.live import Live, pinned
from collector.views.screen import Screen
from collector.views.terminal import open_terminal
from collector.views.trouble import is_well
from collector.wording import lasting, no_collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collector.status.status import ServiceStatus
    from collector.views.terminal import Terminal

    # The method ``status`` of a client.
    Ask = Callable[[], Any]

INTERVAL = 1.0
# The width where there is no terminal: room for every column.
PLAIN_WIDTH = 160


def show_once(ask: Ask, url: str, *, is_json: bool) -> bool:
    """Print how the service stands; return whether all is well."""
    answer, service = _answer(ask, url)
    console = Console()
    if is_json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        width = console.width if console.is_terminal else PLAIN_WIDTH
        console.print(Screen(service, None, width, None, url), crop=False)
    return is_well(service)


def watch(ask: Ask, url: str, *, is_json: bool) -> None:
    """Show how the service stands until Ctrl-C, each second; as JSON, a line for each answer.

    A service that goes away is waited for. Raises CollectorError for one that refuses, or without a terminal.
    """
    terminal = None if is_json else open_terminal(sys.stdout)
    if terminal is None and not is_json:
        raise CollectorError("--watch needs a terminal; with --json it prints a line each second")
    with suppress(KeyboardInterrupt):  # Ctrl-C is the way to end it
        if terminal is None:
            _write_lines(ask, url)
        else:
            with pinned(terminal):
                _draw(ask, url, terminal)


def _write_lines(ask: Ask, url: str) -> NoReturn:
    while True:
        sys.stdout.write(json.dumps(_answer(ask, url)[0]) + "\n")
        sys.stdout.flush()
        time.sleep(INTERVAL)


def _draw(ask: Ask, url: str, terminal: Terminal) -> NoReturn:
    live, answered = Live(terminal, url), time.monotonic()
    while True:
        try:
            _, service = _answer(ask, url)
        except ServiceUnavailable as error:
            silence = lasting(time.monotonic() - answered)
            with _uninterrupted():
                live.draw(Text(f"▲ no answer for {silence}, asked again each second: {error}"), terminal.size())
        else:
            answered = time.monotonic()
            with _uninterrupted():
                live.show(service)
        time.sleep(INTERVAL)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while something is drawn: a frame that is cut off would be left on the screen."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _answer(ask: Ask, url: str) -> tuple[dict[str, Any], ServiceStatus]:
    try:
        answer = ask()
        return answer, read_status(answer)
    except ValueError as error:
        raise CollectorError(no_collector(url)) from error
