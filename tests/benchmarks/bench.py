"""One run of the benchmarks: its rounds, its directory, and the rows that it has measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from rich.console import Console

from .figures import Row
from .processes import Process
from .services import Original, Ours, collector
from .table import cells

Started = TypeVar("Started", bound=Process)


@dataclass
class Bench:
    """What each group of rows is given."""

    directory: Path
    rounds: int
    is_quick: bool
    is_long: bool
    console: Console
    rows: list[Row] = field(default_factory=list)
    growth: dict[str, Any] = field(default_factory=dict)
    _opened: ExitStack = field(default_factory=ExitStack)
    _shared: ExitStack = field(default_factory=ExitStack)
    _both: tuple[Ours, Original] | None = None
    _made: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_group()
        self.end_both()

    def new_directory(self, name: str) -> Path:
        self._made += 1
        path = self.directory / f"{self._made}-{name}"
        path.mkdir()
        return path

    def start(self, process: Started) -> Started:
        """Have a process end with the group that started it."""
        self._opened.enter_context(process)
        return process

    def both(self) -> tuple[Ours, Original]:
        """Give our daemon and the original, calm, with the same collector; groups that follow each other share them."""
        if self._both is None:
            self._both = self._start_both()
        return self._both

    def _start_both(self) -> tuple[Ours, Original]:
        collectors = {"collectors": {"main": collector()}}
        ours = self._shared.enter_context(Ours(self.new_directory("ours"), collectors))
        original = self._shared.enter_context(Original(self.new_directory("original"), collectors))
        for service in (ours, original):
            service.wait_accepting(pause=0.1)
        for service in (ours, original):
            service.reset()
        return ours, original

    def end_group(self) -> None:
        """End what the group started."""
        self._opened.close()

    def end_both(self) -> None:
        """End the two that groups share."""
        self._shared.close()
        self._both = None

    def each_round(self, *rows: Row) -> Iterator[int]:
        """Go through the rounds; afterwards the rows are in the table."""
        for number in range(self.rounds):
            self.console.print(f"[dim]{rows[0].group}: {rows[0].name}, round {number + 1}", highlight=False)
            yield number
        for row in rows:
            self.take(row)

    def take(self, row: Row) -> None:
        """Put a row into the table."""
        self.rows.append(row)
        self.console.print("  ".join(cell for cell in cells(row) if cell), highlight=False)

    def seconds(self, full: float) -> float:
        """Return the length of a load."""
        return min(full, 1.0) if self.is_quick else full
