"""What drift Evidently computed of each column, whichever metric asked for it.

A modern result keeps the score alone; whether that is drift depends on the method, of which some count downwards. So
each is taken down where it is computed.
"""

import importlib
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from collector.workers.exchange import DriftOf

_FUNCTION = "get_one_column_drift"
_USERS = (
    "evidently.legacy.calculations.data_drift",
    "evidently.legacy.metrics.data_drift.column_drift_metric",
    "evidently.legacy.metrics.data_drift.text_descriptors_drift_metric",
    "evidently.metrics.column_statistics",
)
_LARGEST = sys.float_info.max  # JSON has no infinity


class SeenDrift:
    """The drift of each column that was asked for it; one that was asked twice alike is there once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, float], DriftOf] = {}

    def worst_first(self) -> list[DriftOf]:
        """Return the drift that was seen: drifted columns first, the furthest beyond their threshold before others."""
        return sorted(self._seen.values(), key=lambda one: (not one["is_drifted"], -_excess(one), one["column"]))

    def seeing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return Evidently's function, whose results are taken down."""

        def computed(**given: Any) -> Any:
            result = original(**given)
            self._note(result)
            return result

        return computed

    def _note(self, result: Any) -> None:
        if result.stattest_threshold is None or math.isnan(result.drift_score):
            return
        one: DriftOf = {
            "column": str(result.column_name),
            "is_drifted": bool(result.drift_detected),
            "score": min(float(result.drift_score), _LARGEST),
            "threshold": float(result.stattest_threshold),
            "method": str(result.stattest_name),
        }
        self._seen[one["column"], one["method"], one["threshold"]] = one


@contextmanager
def seeing_drift() -> Iterator[SeenDrift]:
    """Take down the drift that is computed in the block, for one report at a time in a process."""
    seen = SeenDrift()
    with ExitStack() as stack:
        for path in _USERS:
            module = importlib.import_module(path)
            stack.enter_context(patch.object(module, _FUNCTION, seen.seeing(getattr(module, _FUNCTION))))
        yield seen


def _excess(one: DriftOf) -> float:
    """Return how many times a score is beyond its threshold, on the side that means drift."""
    score, threshold = one["score"], one["threshold"]
    is_low_drift = one["is_drifted"] == (score < threshold)
    larger, smaller = (threshold, score) if is_low_drift else (score, threshold)
    return larger / smaller if smaller else math.inf
