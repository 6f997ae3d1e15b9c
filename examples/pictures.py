"""Draw the pictures of the terminal view that the README shows, from statuses made for them.

python examples/pictures.py            # writes examples/pictures/*.svg
"""

import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI, TerminalTheme

from collector.status.status import ConfigState, ServiceStatus, Status
from collector.views.history import History
from collector.views.logs import terminal_line
from collector.views.screen import Screen

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NOW = NOON.timestamp()
URL = "http://127.0.0.1:8001"
LIGHT = TerminalTheme(
    (255, 255, 255),
    (36, 41, 47),
    [(36, 41, 47), (193, 42, 36), (17, 110, 50), (138, 100, 0), (9, 105, 218), (130, 80, 223), (10, 115, 135)],
)


def snapshot(minutes: float, rows: int, drifted: int, columns: int, **tests: int) -> dict[str, object]:
    drift = {"drift_share": drifted / columns, "drifted_columns": drifted, "columns": columns}
    return {"time": NOW - 60 * minutes, "rows": rows, **drift, **({"tests": tests} if tests else {})}


CHURN = Status(
    "churn",
    "waiting",
    rows_waiting=640,
    rows_needed=1000,
    snapshots=18,
    last_snapshot=snapshot(4, 1000, 1, 12, passed=14, failed=0),
)
FRAUD = Status(
    "fraud",
    "evaluating",
    rows_waiting=8210,
    rows_needed=20_000,
    last_time=NOW - 1500,
    next_time=NOW + 2100,
    snapshots=31,
    last_snapshot=snapshot(25, 20_000, 9, 14),
)
PRICING = Status(
    "pricing",
    "undelivered",
    rows_waiting=77,
    rows_needed=500,
    outbox=3,
    outbox_since=NOW - 840,
    snapshots=6,
    last_error="http://ui:8000 can't be reached: Connection refused",
    last_snapshot=snapshot(2, 500, 0, 8),
)
REVIEWS = Status(
    "reviews",
    "waiting",
    rows_waiting=12,
    last_time=NOW - 3000,
    next_time=NOW + 600,
    last_snapshot=snapshot(50, 96, 2, 5),
)
MISSING = Status(
    "returns",
    "misconfigured",
    rows_waiting=5,
    rows_needed=500,
    problems=("reference_path: there is no file returns.parquet; put the reference there, or send it",),
)
RATES = {"churn": 41, "fraud": 730, "pricing": 12, "reviews": 0.2, "returns": 0.1}
LOG = [
    {"level": "info", "collector": "churn", "event": "batch sealed", "rows": 1000},
    {"level": "info", "collector": "churn", "event": "report computed", "rows": 1000, "tests": {"passed": 14}},
    {"level": "info", "collector": "churn", "event": "snapshot delivered", "workspace": "workspace"},
    {"level": "error", "collector": "pricing", "event": "snapshot waits for its workspace"},
    {"level": "info", "collector": "fraud", "event": "batch sealed", "rows": 20_000},
]


def service(*collectors: Status, error: str = "") -> ServiceStatus:
    state = ConfigState("collector_config.json", NOW - 2400, error)
    return ServiceStatus("0.1.0", NOW - 94_000, NOW, "", state, collectors)


def history_of(now: ServiceStatus) -> History:
    """Give half a minute in which each collector had its rate, by day's wave."""
    history, counts = History(), dict.fromkeys(RATES, 0.0)
    for second in range(-30, 1):
        wave = 1 + (second * 7 % 11 - 5) / 12
        for name, rate in RATES.items():
            counts[name] += rate * wave
        then = tuple(replace(one, rows_accepted=int(counts.get(one.id, 0))) for one in now.collectors)
        history.note(replace(now, time=now.time + second, collectors=then))
    return history


def draw(path: Path, now: ServiceStatus, width: int, height: int, theme: TerminalTheme) -> None:
    """Write a picture of a terminal with the logs above and the view below."""
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    for number, event in enumerate(LOG):
        console.print(terminal_line(dict(event), NOON.replace(hour=11, minute=56, second=10 * number)), soft_wrap=True)
    console.print(Screen(now, history_of(now), width, height, URL), crop=False)
    svg = console.export_svg(title="evidently collector", theme=theme, unique_id=path.stem)
    # The reader's own font will do; none is to be fetched from elsewhere.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace(
        "Fira Code", "ui-monospace, Menlo, Consolas"
    )
    path.write_text("".join(f"{line.rstrip()}\n" for line in svg.splitlines()), encoding="utf-8")


def draw_all(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    usual = service(CHURN, FRAUD, PRICING, REVIEWS)
    draw(directory / "dark.svg", usual, 100, 20, DIMMED_MONOKAI)
    draw(directory / "light.svg", usual, 100, 20, LIGHT)
    many = [replace(CHURN, id=f"model-{number}", rows_waiting=number * 37 % 1000) for number in range(46)]
    error = "collector_config.json: collectors.churn.trigger.rows_count (line 5, column 21): must be greater than 0"
    crowded = service(CHURN, FRAUD, PRICING, REVIEWS, *many, MISSING, error=error)
    draw(directory / "narrow.svg", crowded, 80, 17, DIMMED_MONOKAI)


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
