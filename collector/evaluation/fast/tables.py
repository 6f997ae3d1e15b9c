"""Computing the drift of a table once in one report: its counts and its list of columns ask for the same."""

from collections.abc import Callable
from typing import Any

from collector.evaluation.fast.columns import place_of
from collector.evaluation.fast.drift import is_computed_alike
from collector.evaluation.fast.known import Shortcut

_CALCULATION = "evidently.legacy.calculations.data_drift:get_drift_for_columns"
_METRICS = "evidently.legacy.metrics.data_drift."
_COUNTS = f"{_METRICS}dataset_drift_metric"
_LIST = f"{_METRICS}data_drift_table"


def of_a_report() -> Shortcut:
    """Return the shortcut with a memory of its own, for one report."""
    return Shortcut(
        name="drift of tables",
        places=(f"{_COUNTS}:get_drift_for_columns", f"{_LIST}:get_drift_for_columns"),
        read=(_CALCULATION, f"{_COUNTS}:DatasetDriftMetric.calculate", f"{_LIST}:DataDriftTable.calculate"),
        digests=frozenset({"efd75fccd2a741ed"}),
        make=_remembering,
    )


def _remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    computed: dict[Any, tuple[Any, Any]] = {}

    def compute(**given: Any) -> Any:
        key = _key(given)
        if key is None:
            return original(**given)
        if key not in computed:
            # keeps the frames alive, so that no other gets their place in memory
            computed[key] = (original(**given), given)
        return computed[key][0]

    return compute


def _key(given: dict[str, Any]) -> Any:
    """Return a key of all that a table's drift depends on; None if it must be computed each time."""
    options, share = given["data_drift_options"], given.get("drift_share_threshold")
    tests = [test for name, test in vars(options).items() if "stattest" in name]
    if not all(map(is_computed_alike, tests)):
        return None
    frames = [given[side] for side in ("current_data", "reference_data")]
    places = tuple((name, place_of(column)) for frame in frames for name, column in frame.items())
    others = (given.get("columns"), given["agg_data"], options.drift_share if share is None else share)
    return (tuple(map(id, frames)), places, repr((others, options, given["dataset_columns"])))
