"""All shortcuts, as a report takes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from collector.evaluation.fast import drift, dump, figures, names
from collector.evaluation.fast.known import standing_in


@contextmanager
def shortcuts_taken(notes: list[str]) -> Iterator[None]:
    """Have what is computed in the block computed by shortcuts; ``notes`` gets a sentence if some can't be taken.

    For one report at a time in a process: they stand in the place of Evidently's functions meanwhile.
    """
    with standing_in([drift.of_a_report(), *figures.SHORTCUTS, *dump.SHORTCUTS, names.SHORTCUT], notes):
        yield
