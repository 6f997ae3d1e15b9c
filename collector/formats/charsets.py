"""Charsets: text that isn't UTF-8, as the Content-Type says, made UTF-8 piece by piece."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from functools import lru_cache

from collector.errors import BadBody

_PARAMETER = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_UTF_8 = {"utf-8", "ascii"}
# Nobody stores text in these, or they are slow to read.
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-7", "mbcs", "oem"}


@lru_cache(64)
def charset_of(content_type: str) -> str:
    """Return the charset that a Content-Type names, "" for UTF-8; raise BadBody if it isn't known here."""
    found = _PARAMETER.search(content_type)
    if found is None:
        return ""
    try:
        codec = codecs.lookup(found[1])
        "".encode(codec.name)  # a codec that isn't for text raises too
    except (LookupError, UnicodeError) as error:
        raise BadBody(f"the charset '{found[1]}' isn't known here; send UTF-8") from error
    if codec.name in _REFUSED:
        raise BadBody(f"the charset '{found[1]}' isn't accepted; send UTF-8")
    return "" if codec.name in _UTF_8 else codec.name


def to_utf_8(charset: str) -> Callable[[bytes, bool], bytes]:
    """Return what makes the pieces of a text UTF-8, told which is the last; it raises BadBody, naming the byte."""
    decoder = codecs.getincrementaldecoder(charset)()
    read = 0

    def recode(piece: bytes, is_last: bool) -> bytes:  # noqa: FBT001  (as codecs have it)
        nonlocal read
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, is_last)
        except UnicodeDecodeError as error:
            place = read - held + error.start
            raise BadBody(
                f"the body isn't {charset}, as its Content-Type says (byte {place}: {error.reason})"
            ) from error
        read += len(piece)
        return text.encode(errors="replace")

    return recode
