"""The screen: the whole service in as many columns and lines as there are, for the terminal and for pictures."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from collector.views.columns import GAP, SIGNS, choose_columns
from collector.views.trouble import found_in, retired, trouble_of, urgency, waits_in
from collector.views.words import printable
from collector.wording import counted, lasting

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, ConsoleOptions, RenderResult

    from collector.status.status import ServiceStatus, Status
    from collector.views.columns import Column, Piece
    from collector.views.history import History

    Line = list[Piece]

_LEAST_ID = 12
_SHARE_OF_ID = 0.4
_INDENT = 11  # columns before the header's values, behind its keywords
# Lines of a sentence about trouble, at most.
_SENTENCE_LINES = 3


class Screen:
    """How a service stands, drawn into ``width`` columns and at most ``height`` lines (None: all that it takes).

    Without a history, rates are left out. Collectors stand in the order of the config if they all fit; if not, those in
    trouble come first, and the rest is counted. It is made of plain segments: rich's tables take ten times as long, and
    so more of the daemon's time than a view may.
    """

    def __init__(
        self, service: ServiceStatus, history: History | None, width: int, height: int | None, address: str
    ) -> None:
        self._service = service
        self._width = width
        header = self._header(address)
        room = None if height is None else height - len(header)
        self.lines = [_cut(line, width) for line in [*header, *self._collectors(history, room)][:height]]

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """Return the lines that rich writes."""
        for line in self.lines:
            yield from (Segment(text, console.get_style(style) if style else None) for text, style in line)
            yield Segment.line()

    # The header

    def _header(self, address: str) -> list[Line]:
        service = self._service
        title: Line = [("── ", "dim"), (f"evidently-collector {service.version}", "bold"), (" ── ", "dim")]
        title += [(address, "bold"), (" ── ", "dim"), (f"up {lasting(service.time - service.started)} ", "")]
        title.append(("─" * (self._width - sum(cell_len(text) for text, _ in title)), "dim"))
        return [title, *self._config(), self._workspaces(), *self._disk()]

    def _config(self) -> list[Line]:
        config = self._service.config
        age = f", loaded {lasting(self._service.time - config.loaded)} ago"
        path = _end(config.path, self._width - _INDENT - len(age))
        lines: list[Line] = [[(f"{'config':{_INDENT}}", "dim"), (path, ""), (age, "dim")]]
        if config.needs_restart:
            lines += self._sentence(f"restart the service to apply {', '.join(config.needs_restart)}", "magenta")
        return lines + self._sentence(config.error and f"✖ edit not in force: {config.error}", "red")

    def _workspaces(self) -> Line:
        everyone, now = self._service.collectors, self._service.time
        made, outbox = (sum(getattr(one, name) for one in everyone) for name in ("snapshots", "outbox"))
        title = f"{'workspace':{_INDENT}}", "dim"
        away = [status for status in everyone if status.state == "undelivered"]
        if away:
            since = min((status.outbox_since for status in away if status.outbox_since is not None), default=now)
            late = f"▲ {len(away)} of {counted(len(everyone), 'collector')} undelivered for {lasting(now - since)}"
            return [title, (f"{late}, {counted(outbox, 'snapshot')} on disk", "magenta")]
        arrived = f", {outbox} on the way" if outbox else ", all delivered" if made else ""
        return [title, (f"{counted(made, 'snapshot')} made", ""), (arrived, "dim")]

    def _disk(self) -> list[Line]:
        trouble = self._service.trouble
        return self._sentence(trouble and f"✖ no events are accepted, as the disk refuses writes: {trouble}", "red")

    def _sentence(self, text: str, style: str, indent: int = _INDENT) -> list[Line]:
        width = max(10, self._width - indent)
        if cell_len(text) > len(text):  # textwrap counts characters, some of which take two columns
            width //= 2
        lines = textwrap.wrap(" ".join(text.split()), width, max_lines=_SENTENCE_LINES, placeholder=" …")
        return [[(" " * indent, ""), (line, style)] for line in lines]

    # The collectors

    def _collectors(self, history: History | None, room: int | None) -> list[Line]:
        everyone = self._service.collectors
        if not everyone:
            return [[("no collectors yet: add one to the config file, or with POST /{id}", "dim")]]
        longest = max(len("collector"), *(cell_len(status.id) for status in everyone))
        least = min(longest, max(_LEAST_ID, int(self._width * _SHARE_OF_ID)))
        columns = choose_columns(self._width - GAP - least, self._service.time, history)
        id_width = min(longest, self._width - GAP - sum(column.width + GAP for column in columns))
        titles: Line = [(" " * GAP + _filled("collector", id_width), "dim")]
        titles += [_cell(column, (column.title, "dim")) for column in columns]
        return [titles, *self._fitting(lambda status: self._block(status, id_width, columns), room)]

    def _block(self, status: Status, id_width: int, columns: list[Column]) -> list[Line]:
        """Return the line of a collector, with its troubles in the lines below."""
        said = trouble_of(status, self._service.time)
        sign, style = SIGNS.get(status.state, ("●", ""))
        found = found_in(status, self._service.time)
        if (said or found) and style not in {"red", "magenta"}:
            sign, style = "▲", "magenta"
        if status.state == "retired":
            said = f"{retired(status).what}: {retired(status).todo}"
        line: Line = [(f"{sign:{GAP}}", style), (_filled(status.id, id_width), "bold")]
        line += [_cell(column, column.show(status)) for column in columns]
        told = ((said, style), (found, "magenta"), (waits_in(status), "dim"))
        return [line, *(line for text, style in told for line in self._sentence(text, style, 2 * GAP))]

    def _fitting(self, block: Callable[[Status], list[Line]], room: int | None) -> list[Line]:
        everyone = self._service.collectors
        if room is None or len(everyone) < room:
            lines = [line for status in everyone for line in block(status)]
            if room is None or len(lines) < room:
                return lines
        left, lines = sorted(everyone, key=urgency), []
        while left and len(lines) + len(next_lines := block(left[0])) < (room or 0) - 1:
            lines += next_lines
            left.pop(0)
        bad = sum(bool(trouble_of(status, 0) or found_in(status, 0)) for status in left)
        verdict = (f"{bad} of them in trouble", "magenta") if bad else ("all well", "green")
        return [*lines, [(f"  and {len(left)} more, ", ""), verdict]]


def _cell(column: Column, piece: Piece) -> Piece:
    text, style = piece
    return " " * GAP + _filled(text, column.width, is_right=column.is_right), style


def _filled(text: str, width: int, *, is_right: bool = False) -> str:
    """Fill ``width`` with a text; a text that is too long ends in "…"."""
    used = cell_len(text)
    if used > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - used)
    return padding + text if is_right else text + padding


def _end(text: str, width: int) -> str:
    """Return the end of a path that is too long, or the whole."""
    return text if cell_len(text) <= max(width, 8) else "…" + text[1 - max(width, 8) :]


def _cut(line: Line, width: int) -> Line:
    """Cut off what is beyond the edge, and the spaces before it, which would wrap if the terminal became narrower."""
    cut, left = [], width
    for said, style in line:
        text = printable(said).replace("\n", " ")
        fitting = text if cell_len(text) <= left else set_cell_size(text, left)
        cut.append((fitting, style))
        left -= cell_len(fitting)
    while cut and not cut[-1][0].strip():
        cut.pop()
    return [*cut[:-1], (cut[-1][0].rstrip(), cut[-1][1])] if cut else []
