"""Apprise: a message is sent as text by any of the services that apprise knows; in a thread, as it blocks.

It writes what went wrong to a logger of Python's own, with addresses in it: nothing of that gets out but the words,
without what may be a token.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Any

import trio

from collector.alerts.messages import is_firing, text_of
from collector.config.alerts import without_address
from collector.errors import AlertRefused, AlertUnsent

# Seconds for one try; after that its thread is left alone.
TIMEOUT = 60.0
_threads = trio.CapacityLimiter(8)
_logger = logging.getLogger("apprise")
_logger.propagate = False
_logger.addHandler(logging.NullHandler())


async def send(address: str, body: str) -> str:
    """Send a message; raise AlertUnsent if it didn't arrive, AlertRefused if apprise can't use the address."""
    try:
        with trio.fail_after(TIMEOUT):
            await trio.to_thread.run_sync(partial(_send, address, body), limiter=_threads, abandon_on_cancel=True)
    except trio.TooSlowError as error:
        raise AlertUnsent(f"it wasn't sent within {TIMEOUT:g} s") from error
    return "sent"


def problem_of(address: str) -> str | None:
    """Say what is wrong with an address, as far as can be told without sending; it takes a second to load apprise."""
    with _listening():
        return None if _apprise().instantiate(address) else "isn't an address that apprise knows; see appriseit.com"


def _send(address: str, body: str) -> None:
    title, text = text_of(body)
    with _listening() as heard:
        apprise = _apprise()
        target = apprise()
        if not target.add(address):
            raise AlertRefused("it isn't an address that apprise knows; see appriseit.com")
        if not target.notify(text, title, "failure" if is_firing(body) else "success"):
            said = without_address("; ".join(heard), address)
            raise AlertUnsent(f"apprise could not send it{f': {said}' if said else ''}")


class _Hearing(logging.Handler):
    """Keeps what apprise logs of trouble in this thread; other threads may be sending too."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []
        self._thread = get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.heard.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    hearing = _Hearing()
    _logger.addHandler(hearing)
    try:
        yield hearing.heard
    finally:
        _logger.removeHandler(hearing)


def _apprise() -> Any:
    from apprise import Apprise

    return Apprise
