"""A collector's config as a person edits it: each field with its line in the file, secrets masked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collector.alerts.messages import Links
from collector.config.text import place_of

if TYPE_CHECKING:
    from collector.config import CollectorConfig, CollectorServiceConfig


@dataclass(frozen=True)
class Field:
    """A field, its value as JSON, and the line where it stands; 0 for one that isn't in the file."""

    name: str
    value: str
    line: int


def config_lines(config: CollectorConfig, text: str) -> tuple[int, list[Field]]:
    """Return the line at which a collector begins in the config file, 0 if it isn't there, and its fields."""
    first, column = place_of(text, ("collectors", config.id))
    if (first, column) == place_of(text, ("collectors",)):
        return 0, _fields(config, "{}", 0)
    # The collector's fields are looked for in the text from its beginning on: to read all before it for each would take
    # long.
    own = "\n".join(text.split("\n")[first - 1 :])[column - 1 :]
    return first, _fields(config, own, first - 1)


def _fields(config: CollectorConfig, own: str, lines_before: int) -> list[Field]:
    begin, fields = place_of(own, ()), []
    for name, value in config.masked().items():
        line, column = place_of(own, (name,))
        is_there = (line, column) != begin
        if is_there or value not in (None, {}, []):
            text = json.dumps(value, indent=2, ensure_ascii=False)
            fields.append(Field(name, text, lines_before + line if is_there else 0))
    return sorted(fields, key=lambda field: field.line or math.inf)


def ui_address(config: CollectorConfig, service: CollectorServiceConfig) -> str:
    """Return where a collector's project is seen in the Evidently UI; "" if that isn't known."""
    where = service.ui_url or config.pages_url
    if not where.startswith(("http://", "https://")):
        return ""
    return Links(ui=where.rstrip("/")).to_project(config.project_id)
