"""Drawing: the templates, and the words that they write numbers and times with; all text of others is escaped."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from collector.views.words import printable, short
from collector.wording import counted

_HERE = Path(__file__).parent
ASSETS = {
    "style.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon-good.svg": "image/svg+xml",
    "icon-warn.svg": "image/svg+xml",
    "icon-bad.svg": "image/svg+xml",
}


def draw(template: str, **context: Any) -> str:
    """Return a template's HTML."""
    return _templates().get_template(template).render(context)


@cache
def asset(name: str) -> bytes:
    """Return one of the files that pages ask for."""
    return (_HERE / "assets" / name).read_bytes()


def collector_path(collector_id: str, *more: str) -> str:
    """Return the address of a collector's page, or of what lies under it."""
    return "/".join(["/-/collectors", quote(collector_id, safe=""), *more])


def ago(seconds: float | None) -> Markup:
    """Write a time whose age is filled in as it is shown; see View."""
    if seconds is None:
        return Markup()
    then = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return Markup('<time data-ago="{:.0f}" datetime="{}"></time>').format(seconds, then)


def clock(seconds: float) -> str:
    """Write a time as the clock and the calendar have it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %H:%M:%S")


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": ago,
        "clock": clock,
        "counted": counted,
        "iso": lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds"),
        "path": collector_path,
        "said": printable,
        "short": short,
    }
    made.globals["asset"] = _asset_path
    return made


@cache
def _asset_path(name: str) -> str:
    """Return an asset's address, which changes with its content: browsers keep assets for long."""
    return f"/-/page/{name}?{hashlib.blake2s(asset(name), digest_size=6).hexdigest()}"
