"""Interim answers (``100 Continue`` and its like), which a server may send before the one that counts: a few of them.

httpcore reads them for as long as they come, and h11 takes some 30 us for each, without a turn for others.
"""

from __future__ import annotations

import re

import httpcore

MAX_INTERIM = 100
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.\d 1\d\d")
# Bytes of a head; h11 has the same limit.
_MAX_HEAD = 100 * 1024


class Interim:
    """Counts the interim answers that come on a connection before the one that counts."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start again, because a new request is sent."""
        self._left = MAX_INTERIM
        self._head: bytes | None = b""  # None once the final answer has begun

    def look(self, data: bytes) -> None:
        """Look at what has come; raise RemoteProtocolError if too many interim answers have."""
        if self._head is None:
            return
        *heads, self._head = _BLANK_LINE.split(self._head + data, MAX_INTERIM + 1)
        for head in heads:
            if _INTERIM.match(head) is None:
                self._head = None
                return
            self._left -= 1
            if self._left < 0:
                raise httpcore.RemoteProtocolError(f"more than {MAX_INTERIM} interim answers came before its answer")
        if len(self._head) > _MAX_HEAD:
            self._head = None  # h11 refuses it
