"""Run the whole matrix and print, per preset and format, how much was compared and how it came out."""

import argparse
import os
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import evidently
import pandas as pd
from rich.console import Console

from .cells import PRESETS, all_cells, be_quiet, evaluate_alone
from .columns import BATCH

say = Console(soft_wrap=True, highlight=False, markup=False).print
_COLUMNS = ("equal", "evidently fails", "counts the rest", "noted", "silent", "differs", "lacks", "fails", "lost")
_OFTEN = 200
_WRONG = ("silent", "differs", "lacks", "fails", "lost")


def main():
    """Compare; the exit code is 1 if a cell differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", nargs="+", default=list(BATCH), choices=list(BATCH))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--every", type=int, default=1, help="take each Nth cell only")
    parser.add_argument("--first", type=int, default=0, help="the cell to begin at: with --every 10, a tenth each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes that share the work")
    options = parser.parse_args()
    cells = all_cells(options.formats, options.presets)[options.first :: options.every]
    counts, started = defaultdict(Counter), time.monotonic()
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), be_quiet) as pool:
        for number, (cell, found, said) in enumerate(pool.map(evaluate_alone, cells, chunksize=4), 1):
            counts[cell.preset, cell.format] += found
            for one in said:
                say(one)
            if number % _OFTEN == 0:
                say(f"{number} of {len(cells)} evaluations after {time.monotonic() - started:.0f} s")
    total = sum(counts.values(), Counter())
    say(f"\nEvidently {evidently.__version__}, pandas {pd.__version__}, {time.monotonic() - started:.0f} s")
    say(f"{'':32}" + "".join(f"{name:>17}" for name in ("compared", *_COLUMNS)))
    for (preset, format_), found in [*counts.items(), (("all", ""), total)]:
        figures = [sum(found.values()), *(found[name] for name in _COLUMNS)]
        say(f"{preset + ' ' + format_:32}" + "".join(f"{figure:17,}" for figure in figures))
    return int(any(total[name] for name in _WRONG))


if __name__ == "__main__":
    raise SystemExit(main())
