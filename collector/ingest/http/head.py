"""The head of a request: what of it matters to us, and what its conditions and keys may be."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.errors import BadBody, ConfigChanged
from collector.ingest.http.problems import json_answer

if TYPE_CHECKING:
    from collector.config import CollectorConfig

MAX_KEY_LENGTH = 255


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
            raise ConfigChanged("a collector with this id exists already")

    def check_key(self) -> None:
        """Raise BadBody if the idempotency key can be none."""
        key = self.idempotency_key
        if len(key) > MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
            raise BadBody(f"an Idempotency-Key has at most {MAX_KEY_LENGTH} characters, all of them printable ASCII")


def entity_tag(config: CollectorConfig) -> str:
    """Return a collector's ETag, made of its config as it is shown."""
    return f'"{hashlib.sha256(json_answer(config.masked()).body).hexdigest()[:32]}"'


def _names(tags: str, found: str) -> bool:
    """Tell whether a condition's list of ETags names one that was found, "" for none."""
    return bool(found) and (tags.strip() == "*" or found in re.split(r"\s*,\s*", tags.strip()))
