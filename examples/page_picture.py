"""Draw the picture of the page that the docs show, from statuses made for it; it needs Chromium.

python examples/page_picture.py            # writes examples/pictures/page.png
"""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from collector.status.status import ConfigState, ServiceStatus, Status
from collector.views.history import History
from collector.views.page.drawing import asset, draw
from collector.views.page.overview import Query, make_frame, overview_view
from collector.views.page.past import Past

NOW = 1_772_452_800.0  # noon of 2 March 2026
SIZE = (1280, 900)
DOWN = "http://ui:8000 can't be reached: Connection refused"
MISSING = "reference_path: there is no file returns.parquet; put the reference there, or send it"
COLLECTORS = (
    Status("churn", "waiting", 640, 1000),
    Status("fraud", "evaluating", 8210, 20_000, last_time=NOW - 1500, next_time=NOW + 2100),
    Status("pricing", "undelivered", 77, 500, outbox=3, outbox_since=NOW - 840, last_error=DOWN),
    Status("reviews", "waiting", 12, last_time=NOW - 3000, next_time=NOW + 600),
    Status("returns", "misconfigured", 5, 500, problems=(MISSING,)),
)
RATES = {"churn": 41, "fraud": 730, "pricing": 12, "reviews": 0.2, "returns": 0.1}
COLUMNS = ("age", "income", "plan", "country", "tenure", "visits", "device", "spend")


def snapshot(number: int, minutes: float, drifted: int, accuracy: float, failed: tuple[str, ...] = ()) -> Past:
    drift = [
        {
            "column": column,
            "is_drifted": at < drifted,
            "score": 0.42 - at / 20 if at < drifted else 0.02,
            "threshold": 0.1,
            "method": "Wasserstein distance (normed)",
        }
        for at, column in enumerate(COLUMNS)
    ]
    tests = [
        {"name": name, "metric": "", "column": "", "status": "failed", "value": 0.12, "said": name} for name in failed
    ]
    values = [{"metric": "Accuracy", "column": "", "label": "", "value": accuracy}]
    outcome = {
        "drift_share": drifted / len(COLUMNS),
        "drifted_columns": drifted,
        "columns": len(COLUMNS),
        "dataset_drift": drifted * 2 >= len(COLUMNS),
        "tests": {"passed": 14 - len(failed), "failed": len(failed)},
        "findings": {"drift": drift, "failed_tests": tests, "not_computed": [], "values": values},
    }
    return Past(f"batch-{number}", NOW - 60 * minutes, 1000, outcome=outcome)


def past_of(collector_id: str) -> tuple[Past, ...]:
    """Return a day of snapshots: calm ones, but for what has happened to fraud since morning."""
    made = []
    for number in range(30):
        wave = (number * 7 + len(collector_id)) % 5
        is_bad = collector_id == "fraud" and number < 6
        failed = ("Share of missing values of 'income' < 0.05",) if is_bad else ()
        made.append(
            snapshot(
                number, 4 + 25 * number, 5 + wave % 2 if is_bad else wave // 2, 0.93 - wave / 300 - is_bad / 5, failed
            )
        )
    return tuple(made)


def page() -> str:
    """Return the page with its style in it."""
    history = History()
    for second in range(-9, 1):
        counted = tuple(replace(one, rows_accepted=int(RATES[one.id] * (10 + second))) for one in COLLECTORS)
        history.note(service(NOW + second, counted))
    seen = service(NOW, tuple(replace(one, rows_accepted=int(RATES[one.id] * 10)) for one in COLLECTORS))
    view = overview_view(make_frame("1", seen, {one.id: past_of(one.id) for one in COLLECTORS}, history, None), Query())
    html = draw("overview.html", view=view, query=Query(), tone=view.tone, path="/", stream="", signing_out="")
    html = re.sub(r"<script.*?</script>|<link.*?>", "", html, flags=re.DOTALL)
    html = re.sub(r'<p class="live".*?</p>', '<p class="live on">live</p>', html, flags=re.DOTALL)
    return html.replace("</head>", f"<style>{asset('style.css').decode()}</style></head>")


def service(time: float, collectors: tuple[Status, ...]) -> ServiceStatus:
    config = ConfigState("/srv/collector_config.json", NOW - 2400)
    return ServiceStatus("0.1.0", NOW - 94_000, time, "", config, collectors)


def words_of(html: str) -> str:
    """Return the digest of what a page says."""
    body = re.sub(r"<(style|title)\b.*?</\1>", "", html, flags=re.DOTALL)
    return sha256(" ".join(re.sub(r"<[^>]+>", " ", body).split()).encode()).hexdigest()


def draw_page(directory: Path, chromium: str) -> None:
    """Write the picture, and beside it the digest of what it says."""
    html = page()
    with TemporaryDirectory() as made:
        (Path(made) / "page.html").write_text(html, encoding="utf-8")
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={made}/profile",
        ]
        picture = directory.absolute() / "page.png"
        subprocess.run(  # noqa: S603  (a browser that is installed here)
            [
                chromium,
                *flags,
                f"--window-size={SIZE[0]},{SIZE[1]}",
                f"--screenshot={picture}",
                f"file://{made}/page.html",
            ],
            check=True,
            capture_output=True,
        )
    (directory / "page.sha256").write_text(f"{words_of(html)}\n", encoding="utf-8")


if __name__ == "__main__":
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("this needs Chromium: apt-get install chromium")
    draw_page(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures", found)
