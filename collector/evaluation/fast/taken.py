"""All shortcuts, as a report takes them."""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import pandas as pd

from collector.evaluation.fast import (
    bins,
    choices,
    constants,
    correlations,
    distances,
    distributions,
    drift,
    dump,
    figures,
    means,
    names,
    quantiles,
    statistics,
    summaries,
    tables,
)
from collector.evaluation.fast.columns import Ordered
from collector.evaluation.fast.known import Shortcut, standing_in


@contextmanager
def shortcuts_taken(
    notes: list[str], reference: pd.DataFrame | None = None, key: Hashable = None, *, is_modern: bool
) -> Iterator[None]:
    """Have what is computed in the block computed by shortcuts; ``notes`` gets a sentence if some can't be taken.

    What is computed of a ``reference`` alone is kept for the next report by ``key``, if that is given. For one report
    at a time in a process: they stand in place of Evidently's functions meanwhile.
    """
    with standing_in(all_shortcuts(reference, key, is_modern=is_modern), notes):
        yield


def all_shortcuts(reference: pd.DataFrame | None = None, key: Hashable = None, *, is_modern: bool) -> list[Shortcut]:
    """Return the shortcuts for one report; some have a memory, of it alone or of its reference."""
    ordered = Ordered(reference, key)
    of_this_report = (
        *([correlations.SHORTCUT] if is_modern else []),
        tables.of_a_report(),
        drift.of_a_report(shows_correlations=not is_modern),
        distributions.of_a_report(ordered),
        *distances.of_a_report(ordered),
        means.of_a_report(),
        summaries.of_a_report(reference, key, ordered),
        quantiles.of_a_report(ordered),
    )
    of_columns = (*choices.SHORTCUTS, *constants.SHORTCUTS, bins.SHORTCUT, statistics.SHORTCUT)
    return [*of_this_report, *of_columns, *figures.SHORTCUTS, *dump.SHORTCUTS, names.SHORTCUT]
