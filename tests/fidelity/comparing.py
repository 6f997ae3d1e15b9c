"""Compares what a worker has of a cell with what Evidently has, metric by metric and test by test."""

import math
from collections import Counter

WHOLE = "the whole report"  # what a direct run is called that raises before its first metric


def compare(direct, found, notes):
    """Count what came out how; returns the counts and a sentence on each difference.

    equal, differs; evidently fails (so do we, for that metric alone); counts the rest (over the columns that can be
    computed); noted; lacks, fails (ours has no value and Evidently has one); lost (the whole batch).
    """
    counts, said = Counter(), []
    if found is None and direct and all(kind == "error" for kind, _ in direct.values()) and WHOLE not in direct:
        return Counter({"evidently fails": len(direct)}), []
    if found is None:
        return Counter({"lost": 1}), [f"lost: {notes[0]}"]
    has_error = any(kind == "error" for kind, _ in found.values())
    for name, (kind, value) in direct.items():
        ours = found.get(name)
        if kind == "error":
            counts["counts the rest" if name == WHOLE else _of_failure(ours, has_error, notes)] += 1
        elif ours is None or ours[0] == "error":
            counts["lacks" if ours is None else "fails"] += 1
            said.append(f"{name}: Evidently has {value!r:.200}, ours {ours!r:.200}")
        elif _is_same(value, ours[1]):
            counts["equal"] += 1
        else:
            counts["differs"] += 1
            said.append(f"{name}: Evidently has {value!r:.200}, ours {ours[1]!r:.200}")
    return counts, said


def _of_failure(ours, has_error, notes):
    if ours is not None:
        return "evidently fails" if ours[0] == "error" else "counts the rest"
    return "evidently fails" if has_error else "noted" if notes else "silent"


def _is_same(one, other):
    """Tell whether two values are the same, whatever the order of labels and the types that JSON leaves of them."""
    if isinstance(one, bool) or isinstance(other, bool):
        return str(one) == str(other)
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        mine, theirs = ({str(key): value for key, value in side.items()} for side in (one, other))
        return mine.keys() == theirs.keys() and all(_is_same(mine[key], theirs[key]) for key in mine)
    return str(one).replace("T", " ") == str(other).replace("T", " ")
