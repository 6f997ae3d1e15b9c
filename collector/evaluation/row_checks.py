"""Whether a config's ``where`` and ``segments`` fit its reference: a slip of the pen is known before a batch comes."""

from collections.abc import Iterator

import pandas as pd

from collector.evaluation.matching import Incomparable
from collector.evaluation.selecting import ReferenceRows, Wish, matching_reference
from collector.wording import OTHER_SEGMENT, did_you_mean
from collector.workers.exchange import Json, Problem


def problems_of(where: Json, segments: Json | None, reference: pd.DataFrame) -> list[Problem]:
    """Return what is wrong with them, nothing if a report has rows, and some segment has enough."""
    missing = list(_missing(where, segments, reference))
    if missing:
        return missing
    wish = Wish("", where, segments)
    try:
        matching = matching_reference(wish, reference)
    except Incomparable as error:
        return [{"path": error.path, "message": str(error)}]
    except ValueError as error:
        return [{"path": ["where"], "message": str(error)}]
    return [] if segments is None else list(_problems_of_segments(wish, segments, matching))


def _missing(where: Json, segments: Json | None, reference: pd.DataFrame) -> Iterator[Problem]:
    paths = {("where", name): name for name in where}
    if segments is not None:
        paths |= {("segments", "column"): segments["column"]}
    for path, name in paths.items():
        if name not in reference:
            known = did_you_mean(name, map(str, reference.columns))
            yield {"path": list(path), "message": f"the reference has no column {name!r}; {known}"}


def _problems_of_segments(wish: Wish, segments: Json, reference: pd.DataFrame) -> Iterator[Problem]:
    rows = ReferenceRows(wish, reference)
    if rows.undivided:
        yield {"path": ["segments"], "message": rows.undivided}
    elif all((rows.count(name) or 0) < segments["min_rows"] for name in rows.names if name != OTHER_SEGMENT):
        message = f"no segment has {segments['min_rows']} rows in the reference, so no segment would get a report"
        yield {"path": ["segments", "min_rows"], "message": message}
