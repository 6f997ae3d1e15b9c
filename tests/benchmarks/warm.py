"""A warm process that has imported what it times: bare Evidently runs, or clients.

It takes orders as lines of JSON on its input, and answers each by a line with the seconds that it took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import pandas as pd


def bare_run(generation: str, current: str, reference: str) -> Callable[[], None]:
    """Run a DataDriftPreset on frames in memory and spell its snapshot out; what nobody can do without."""
    frames = pd.read_parquet(current), pd.read_parquet(reference)
    return (_modern if generation == "modern" else _legacy)(*frames)


def _modern(current: pd.DataFrame, reference: pd.DataFrame) -> Callable[[], None]:
    from evidently import Report
    from evidently.legacy.utils import NumpyEncoder  # the modern client's too
    from evidently.presets import DataDriftPreset

    def run() -> None:
        json.dumps(Report([DataDriftPreset()]).run(current, reference).dump_dict(), cls=NumpyEncoder)

    return run


def _legacy(current: pd.DataFrame, reference: pd.DataFrame) -> Callable[[], None]:
    from evidently.legacy.metric_preset import DataDriftPreset
    from evidently.legacy.report import Report
    from evidently.legacy.utils import NumpyEncoder

    def run() -> None:
        report = Report([DataDriftPreset()])
        report.run(current_data=current, reference_data=reference)
        json.dumps(report.to_snapshot().dict(), cls=NumpyEncoder)

    return run


def send_data(whose: str, url: str, current: str) -> Callable[[], None]:
    """Send a frame as a service would, by our client or the original's."""
    client: Any
    if whose == "ours":
        from collector.client import CollectorClient

        client = CollectorClient(url)
    else:
        from evidently.legacy.collector.client import CollectorClient as OriginalClient

        client = OriginalClient(url)
    frame = pd.read_parquet(current)
    return lambda: client.send_data("main", frame)


def buffered(url: str, current: str, events: int) -> tuple[float, float]:
    """Send single events from a loop; give the seconds of a call, and the seconds until all were accepted."""
    from collector.client import CollectorClient

    client: Any = CollectorClient(url)
    rows = pd.read_parquet(current).head(1_000).to_dict("records")
    begun = time.perf_counter()
    with client, client.buffered("main") as buffer:
        for event in islice(cycle(rows), events):
            buffer.send(event)
        called = time.perf_counter()
    return (called - begun) / events, time.perf_counter() - begun


def main() -> None:
    # What libraries print would stand between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    work: Callable[[], None] = lambda: None  # noqa: E731
    makers = {"bare_run": bare_run, "send_data": send_data}
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = None
        if order["do"] == "time":
            begun = time.perf_counter()
            for _ in range(order["times"]):
                work()
            answer = (time.perf_counter() - begun) / order["times"]
        elif order["do"] == "buffered":
            answer = buffered(*order["arguments"])
        else:
            work = makers[order["do"]](*order["arguments"])
            work()  # the first one warms what later ones find warm
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
