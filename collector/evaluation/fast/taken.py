"""All shortcuts, as a report takes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from collector.evaluation.fast import (
    bins,
    choices,
    constants,
    distances,
    distributions,
    drift,
    dump,
    figures,
    means,
    names,
    statistics,
    tables,
)
from collector.evaluation.fast.known import Shortcut, standing_in


@contextmanager
def shortcuts_taken(notes: list[str]) -> Iterator[None]:
    """Have what is computed in the block computed by shortcuts; ``notes`` gets a sentence if some can't be taken.

    For one report at a time in a process: they stand in the place of Evidently's functions meanwhile.
    """
    with standing_in(all_shortcuts(), notes):
        yield


def all_shortcuts() -> list[Shortcut]:
    """Return the shortcuts for one report; some have a memory, of it alone."""
    of_this_report = (tables.of_a_report(), drift.of_a_report(), distributions.of_a_report(), means.of_a_report())
    of_columns = (*choices.SHORTCUTS, *constants.SHORTCUTS, bins.SHORTCUT, distances.SHORTCUT, statistics.SHORTCUT)
    return [*of_this_report, *of_columns, *figures.SHORTCUTS, *dump.SHORTCUTS, names.SHORTCUT]
