"""A warm process of the peers' own environment: it takes orders as lines of JSON, and answers by processor seconds.

What they need beside the batch, as a reference, they have in memory, as ours has.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import events  # type: ignore[import-not-found]  # it stands beside this file

os.environ |= {"WHYLOGS_NO_ANALYTICS": "True", "NML_DISABLE_USAGE_LOGGING": "1"}


@cache
def whylogs(rows: int) -> Callable[[], Any]:
    """Return what makes a profile of a batch, and its bytes."""
    import whylogs

    batch = events.frame(rows)
    return lambda: whylogs.log(batch).profile().view().serialize()


@cache
def nannyml(rows: int) -> Callable[[], Any]:
    """Return what computes the drift of a batch, by what Evidently takes for as many rows."""
    import nannyml

    batch, reference = events.frame(rows), events.frame(rows, seed=1)
    drift = nannyml.UnivariateDriftCalculator(
        column_names=list(batch.columns),
        continuous_methods=["wasserstein"],
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    ).fit(reference)
    return lambda: drift.calculate(batch).to_df()


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        order = json.loads(line)
        work = {"whylogs": whylogs, "nannyml": nannyml}[order["peer"]](order["rows"])
        gc.collect()
        begun = time.process_time()
        work()
        answers.write(json.dumps({"seconds": time.process_time() - begun}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
