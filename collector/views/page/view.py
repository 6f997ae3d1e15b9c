"""A view: what one page shows at a moment, in pieces, so that only what has changed is sent to who looks on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup, escape

from collector.wording import lasting

# Ages and cells of counters are left out of a piece's HTML: otherwise each piece would change each second.
_AGE = re.compile(r'<time data-ago="([\d.]+)"[^>]*>(?=</time>)')
_CELL = re.compile(
    r'<(?:span data-cell="(\w+)">(?=</span>)|(?:progress|input type="hidden" name="token") data-cell="(\w+)")'
)


@dataclass(frozen=True)
class View:
    """One page at one moment: HTML by the ids of its elements, and texts of cells by those of the pieces they are in.

    ``order`` has the ids of the rows that are shown; ``tone`` is that of the page's icon.
    """

    number: str
    now: float
    title: str
    tone: str
    pieces: Mapping[str, str]
    cells: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    def whole(self, piece: str) -> Markup:
        """Return a piece's HTML with its ages and cells filled in."""
        return self.filled(piece, self.pieces[piece])

    def filled(self, piece: str, html: str) -> Markup:
        """Return HTML with the ages, and with the cells of a piece."""
        cells = self.cells.get(piece, {})
        aged = _AGE.sub(lambda found: found[0] + lasting(self.now - float(found[1])), html)
        return Markup(_CELL.sub(lambda found: _with_cell(found, cells), aged))  # noqa: S704  (made by templates)

    def since(self, before: View | None) -> dict[str, Any]:
        """Return the changes to send to a page that shows an earlier view, or none."""
        had_pieces, had_cells = ({}, {}) if before is None else (before.pieces, before.cells)
        pieces = {key: html for key, html in self.pieces.items() if had_pieces.get(key) != html}
        cells = {key: texts for key, texts in self.cells.items() if key in pieces or had_cells.get(key) != texts}
        news: dict[str, Any] = {"pieces": pieces, "cells": cells}
        if before is None or before.order != self.order:
            news["order"] = self.order
        if before is None or (before.title, before.tone) != (self.title, self.tone):
            news |= {"title": self.title, "tone": self.tone}
        return {name: value for name, value in news.items() if value or name == "order"} | {"now": self.now}


def _with_cell(found: re.Match[str], cells: Mapping[str, str]) -> str:
    if found[1]:
        return f"{found[0]}{escape(cells.get(found[1], ''))}"
    return f'{found[0]} value="{escape(cells.get(found[2], "0"))}"'
