"""Which of Evidently's two generations a ``report_config`` is for: the one rule, on both sides of the workers' wall."""

from __future__ import annotations

import re
from typing import Any, Literal

Generation = Literal["modern", "legacy"]

# The keys of a legacy report_config; the original required all of them.
LEGACY_KEYS = ("metrics", "tests", "options", "metadata", "tags")

# Aliases of 0.6; the package that 0.7 put the whole of 0.6 into; and 0.6's own class paths. Its metrics lay in packages
# (evidently.metrics.data_drift.data_drift_table.DataDriftTable) where 0.7 has modules; what it exported beside them is
# named …Metric, as in 0.7 only one is.
_LEGACY = re.compile(
    r"evidently:(metric|test|metric_preset|test_preset):"
    r"|evidently\.(legacy|metric_preset|test_preset|tests)\."
    r"|evidently\.metrics\.(\w+\.\w+\.|custom_metric\.|(?!PopularityBias)\w+Metric$)"
)


def generation_of(report_config: dict[str, Any]) -> Generation:
    """Return "legacy" for what has ``tests``, ``options`` that are an object, or a metric of Evidently 0.6."""
    if "tests" in report_config or isinstance(report_config.get("options"), dict):
        return "legacy"
    metrics = report_config.get("metrics")
    items = metrics if isinstance(metrics, list) else []
    types = [item.get("type") if isinstance(item, dict) else item for item in items]
    return "legacy" if any(_is_legacy(name) for name in types) else "modern"


def apart(mine: Generation) -> str:
    """Say why snapshots of a generation can't go where those of the other are."""
    return f"no UI can show those and {mine} ones together; give this collector another directory"


def _is_legacy(name: object) -> bool:
    return isinstance(name, str) and _LEGACY.match(name) is not None
