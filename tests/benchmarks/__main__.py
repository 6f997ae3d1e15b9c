"""The door: ``python -m tests.benchmarks`` measures, prints one table, and writes JSON."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from .bench import Bench
from .figures import together
from .plot import growth_svg
from .readme import how_fast
from .table import make_table

# Those that share the same two services stand first, and together.
SHARING = ("single_rows", "batches", "pauses", "clients")
QUICK = (*SHARING, "starting", "gathering", "reports")
GROUPS = (*QUICK, "labels", "peers", "topics", "memory", "many_reports", "evaluation", "beside_reports", "growth")


def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"A group to measure, of {', '.join(GROUPS)}; again for more.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each row; --quick takes 1.")] = 3,
    json_path: Annotated[Path | None, typer.Option("--json", help="Where to write all figures.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Short loads in one round, most groups: 3 minutes.")] = False,
    long: Annotated[bool, typer.Option("--long", help="Ten million rows in growth, a million in reports.")] = False,
    readme: Annotated[
        Path | None, typer.Option(help="Print the README's section of a run's JSON, and measure nothing.")
    ] = None,
) -> None:
    """Measure our daemon and the original collector under the same load, in turn."""
    if readme is not None:
        sys.stdout.write(how_fast(json.loads(readme.read_text(encoding="utf-8"))))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that children end with us
    console = Console(width=None if sys.stdout.isatty() else 160)
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="collector-bench-") as directory,
        Bench(Path(directory), 1 if quick else rounds, quick, long, console) as bench,
    ):
        failed = [name for name in only or (QUICK if quick else GROUPS) if not _measured(bench, name)]
    bench.rows = together(bench.rows)
    console.print(make_table(bench.rows))
    console.print(f"{time.monotonic() - begun:.0f} s")
    if json_path is not None:
        json_path.write_text(json.dumps(_run(bench, failed), indent=1), encoding="utf-8")
        if bench.growth:
            json_path.with_suffix(".svg").write_text(growth_svg(bench.growth), encoding="utf-8")
    if failed:
        raise SystemExit(f"could not be measured: {', '.join(failed)}")


def _measured(bench: Bench, name: str) -> bool:
    """Measure a group; what goes wrong in it is shown, and the others are measured nevertheless."""
    begun = time.monotonic()
    try:
        if name not in SHARING:
            bench.end_both()
        import_module(f".{name}", __package__).measure(bench)
    except Exception:  # noqa: BLE001
        bench.console.print_exception(max_frames=4)
        return False
    else:
        return True
    finally:
        bench.end_group()
        bench.console.print(f"[dim]{name} took {time.monotonic() - begun:.0f} s", highlight=False)


def _run(bench: Bench, failed: list[str]) -> dict[str, Any]:
    machine = {
        "cpus": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "evidently": version("evidently"),
    }
    rows = [row.as_json() for row in bench.rows]
    return {"machine": machine, "rounds": bench.rounds, "failed": failed, "rows": rows, "growth": bench.growth}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    typer.run(main)
