"""What running a report yields, before it becomes files."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from collector.evaluation.uncomputed import Uncomputed
from collector.workers.exchange import Findings, Json


@dataclass(frozen=True)
class Upload:
    """A dataset that Evidently Cloud takes beside a snapshot."""

    role: Literal["current", "reference"]
    name: str
    frame: pd.DataFrame
    url: str
    form: dict[str, str]
    params: dict[str, str]


@dataclass(frozen=True)
class Drift:
    """How many of a report's columns drifted, and whether they are enough for a drift of the whole."""

    share: float | None = None
    drifted: int | None = None
    columns: int | None = None
    is_of_all: bool | None = None


@dataclass(frozen=True)
class Evaluated:
    """A run report: ``body`` is the snapshot to deliver, ``failures`` is what could not be computed."""

    kind: Literal["Report", "TestSuite"]
    report_id: str
    body: Json
    drift: Drift
    tests: dict[str, int]
    failures: list[Uncomputed]
    findings: Findings
    uploads: list[Upload]


def first_drift(results: Any) -> Drift:
    """Return the drift that the first of Evidently's legacy results with one tells of."""
    for result in results:
        if hasattr(result, "share_of_drifted_columns"):
            share, drifted = float(result.share_of_drifted_columns), int(result.number_of_drifted_columns)
            return Drift(share, drifted, int(result.number_of_columns), bool(result.dataset_drift))
    return Drift()
