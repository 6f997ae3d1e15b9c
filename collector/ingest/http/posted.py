"""The head of a usual POST of events or of labels, read by httptools.

What is usual is narrow on purpose: a head that came whole, in printable ASCII, that tells where its body ends once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import httptools

from collector.ingest.http.cloud_events import is_cloud_event
from collector.ingest.http.guard import SECRET_HEADER, is_plain_host
from collector.ingest.http.head import Head

_BLANK_LINE = b"\r\n\r\n"
# Longer heads aren't cached: they would take room, and fast clients don't send them.
_MAX_SAME = 1024
_TARGET = re.compile(r"/([A-Za-z0-9._-]+)/(data|labels)")  # only paths that need no decoding and no cleaning
_LENGTH = re.compile("[0-9]{1,15}")
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\r\n"
# Headers of web pages. The app says which pages may send, and what they may read.
_OF_PAGES = frozenset({"origin", "sec-fetch-site"})
# An upgrade may be ignored (RFC 9110, 7.8), with the headers that belong to it; so may the announcement of trailers.
_CONNECTION = frozenset({"", "keep-alive", "close", "upgrade", "http2-settings", "te"})


@dataclass(frozen=True, slots=True)
class Posted:
    """The head of a usual POST of events or labels, of ``size`` bytes; ``what`` is the end of its path."""

    collector_id: str
    what: str
    secret: str | None
    head: Head
    length: int | None  # None if it comes in chunks
    is_last: bool
    is_expecting: bool  # the client waits to be asked for the body
    is_kept: bool  # HTTP/1.0, and the connection is to be kept nevertheless
    host: str
    is_plain_host: bool
    size: int


def read_posted(data: bytes) -> Posted | None:
    """Read the head of a request; None if it isn't a usual POST of events or labels, or not whole."""
    size = data.find(_BLANK_LINE) + len(_BLANK_LINE)
    if size < len(_BLANK_LINE) or not data.startswith(b"POST /"):
        return None
    return _read_head(data[:size]) if size <= _MAX_SAME else _read_head.__wrapped__(data[:size])


@lru_cache(256)
def _read_head(head: bytes) -> Posted | None:
    """Read a head. Cached, because a client's heads are mostly the same."""
    return None if head.translate(None, _PRINTABLE) else _Reading(head).posted(len(head))


class _Reading:
    """What httptools reads in a head. It refuses ambiguous ones, with two lengths or a folded line."""

    def __init__(self, head: bytes) -> None:
        self._target = ""
        self._headers: dict[str, str] = {}
        self._lines = 0
        self._is_whole = False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # we ignore the upgrade, and httptools would stop parsing here
        except httptools.HttpParserError:
            self._is_whole = False

    def on_url(self, target: bytes) -> None:
        self._target += target.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        self._headers[name.decode().lower()] = value.decode().strip()

    def on_headers_complete(self) -> None:
        self._is_whole = True

    def posted(self, size: int) -> Posted | None:
        """Return the POST of events whose head this is; None for any other request, and for an unusual head."""
        found = _TARGET.fullmatch(self._target)
        if found is None or not self._is_whole or not self._is_usual():
            return None
        headers, is_old = self._headers, self._is_old
        options = self._options()
        length, host = headers.get("content-length"), headers.get("host", "")
        head = Head(
            content_type=headers.get("content-type", ""),
            content_encoding=headers.get("content-encoding", ""),
            content_length=length,
            idempotency_key=headers.get("idempotency-key", ""),
        )
        is_kept = is_old and "keep-alive" in options and "close" not in options
        return Posted(
            collector_id=found[1],
            what=found[2],
            secret=headers.get(SECRET_HEADER),
            head=head,
            length=None if length is None else int(length),
            is_last="close" in options or (is_old and not is_kept),
            is_expecting="expect" in headers and not is_old,
            is_kept=is_kept,
            host=host,
            is_plain_host=is_plain_host(host),
            size=size,
        )

    @property
    def _is_old(self) -> bool:
        return bool(self._parser.get_http_version() == "1.0")

    def _options(self) -> frozenset[str]:
        return frozenset(option.strip().lower() for option in self._headers.get("connection", "").split(","))

    def _is_usual(self) -> bool:
        headers = self._headers
        return (
            self._parser.get_http_version() in {"1.0", "1.1"}
            and (self._is_old or "host" in headers)
            and len(headers) == self._lines
            and _OF_PAGES.isdisjoint(headers)
            and not is_cloud_event(headers)
            and headers.get("expect", "100-continue").lower() == "100-continue"
            and self._options() <= _CONNECTION
            and self._tells_its_end()
        )

    def _tells_its_end(self) -> bool:
        headers = self._headers
        if "transfer-encoding" not in headers:
            return _LENGTH.fullmatch(headers.get("content-length", "")) is not None
        is_chunked = headers["transfer-encoding"].lower() == "chunked"
        return is_chunked and "content-length" not in headers and not self._is_old
