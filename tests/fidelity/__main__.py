"""Run the whole matrix and print, per preset and format, how much was compared and how it came out."""

import argparse
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import evidently
import pandas as pd
from rich.console import Console

from .cells import PRESETS, all_cells, draw_nothing, evaluate
from .columns import BATCH

say = Console(soft_wrap=True, highlight=False, markup=False).print
_COLUMNS = ("equal", "evidently fails", "counts the rest", "noted", "silent", "differs", "lacks", "fails", "lost")
_WRONG = ("silent", "differs", "lacks", "fails", "lost")


def main():
    """Compare; the exit code is 1 if a cell differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", nargs="+", default=list(BATCH), choices=list(BATCH))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--every", type=int, default=1, help="take each Nth cell only")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    draw_nothing()
    counts, started = defaultdict(Counter), time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        for cell in all_cells(options.formats, options.presets)[:: options.every]:
            found, said = evaluate(cell, Path(directory))
            counts[cell.preset, cell.format] += found
            for one in said:
                say(one)
    total = sum(counts.values(), Counter())
    say(f"\nEvidently {evidently.__version__}, pandas {pd.__version__}, {time.monotonic() - started:.0f} s")
    say(f"{'':32}" + "".join(f"{name:>17}" for name in ("compared", *_COLUMNS)))
    for (preset, format_), found in [*counts.items(), (("all", ""), total)]:
        figures = [sum(found.values()), *(found[name] for name in _COLUMNS)]
        say(f"{preset + ' ' + format_:32}" + "".join(f"{figure:17,}" for figure in figures))
    return int(any(total[name] for name in _WRONG))


if __name__ == "__main__":
    raise SystemExit(main())
