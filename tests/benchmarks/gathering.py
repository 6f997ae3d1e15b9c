"""Gathering: what it takes to make one table of posts of a row each, before a report can run on them."""

from __future__ import annotations

from .bench import Bench
from .figures import Row, at_most, spaced
from .processes import run_script

_FRAMES = 20_000
_LIMIT = "parsing each by orjson, and writing their table to parquet"


def measure(bench: Bench) -> None:
    name = f"{spaced(_FRAMES)} posts of a row into a table on the disk, processor time"
    row = Row("gathering", name, "s", at_most(0.2), _LIMIT, "the original's is in memory")
    for _ in bench.each_round(row):
        row.add(**run_script("gather.py", bench.new_directory("gathered"), _FRAMES))
