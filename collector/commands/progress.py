"""How far a command has come: a bar on a terminal, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

# A call with the share that is done (None if unknown) and the words for what is being done.
Show: TypeAlias = Callable[[float | None, str], None]


@contextmanager
def open_bar() -> Iterator[Show]:
    """Show a bar until the block ends."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    description = progress.TextColumn("{task.description}", markup=False)
    columns = (description, progress.BarColumn(), progress.TaskProgressColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading", total=None)

        def show(done: float | None, told: str) -> None:
            bar.update(task, completed=done, total=None if done is None else 1.0, description=told)

        yield show
