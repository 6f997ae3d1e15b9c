"""Reports: the processor time of a batch's report in a worker, beside Evidently alone on the same rows."""

from __future__ import annotations

from pathlib import Path

from .bench import Bench
from .figures import Row, at_most, spaced
from .processes import Talking

_LIMIT = "Report.run and its dump alone, in the same process in turn"
_NOT_SLOWER = 1.1  # two runs of one differ by as much
_GOALS = {
    ("modern", "DataDriftPreset", 1_000): 0.17,
    ("modern", "DataSummaryPreset", 1_000): 0.18,
    ("modern", "DataDriftPreset", 10_000): 0.18,
    ("modern", "DataSummaryPreset", 10_000): 0.18,
    ("modern", "DataDriftPreset", 100_000): 0.15,
    ("modern", "DataSummaryPreset", 100_000): 0.2,
    ("modern", "DataDriftPreset", 1_000_000): 0.12,
    ("modern", "DataSummaryPreset", 1_000_000): 0.22,
    ("legacy", "DataDriftPreset", 1_000): 0.6,
    ("legacy", "DataDriftPreset", 100_000): 0.35,
    ("legacy", "DataQualityPreset", 1_000): _NOT_SLOWER,
    ("legacy", "TargetDriftPreset", 1_000): _NOT_SLOWER,
    ("legacy", "RegressionPreset", 1_000): _NOT_SLOWER,
    ("legacy", "ClassificationPreset", 1_000): _NOT_SLOWER,
}


def measure(bench: Bench) -> None:
    script = str(Path(__file__).with_name("in_turn.py"))
    both = bench.start(Talking([script], bench.new_directory("reports"), "reports.log", talks=True))
    largest = 1_000_000 if bench.is_long else 10_000 if bench.is_quick else 100_000
    for (generation, preset, rows), most in _GOALS.items():
        if rows > largest or (bench.is_quick and most == _NOT_SLOWER):
            continue
        name = f"{spaced(rows)} x 20 {preset}, {generation}, processor time"
        row = Row("reports", name, "s", at_most(most, "limit"), _LIMIT)
        for _ in bench.each_round(row):
            row.add(**both.ask(generation=generation, preset=preset, rows=rows))
