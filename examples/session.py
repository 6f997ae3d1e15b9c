"""A session to look at, in a terminal: the service starts, takes events, refuses a bad edit, takes a good one, stops.

python examples/session.py
"""

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.datasets import load_iris

from collector.client import CollectorClient

PATIENCE = 120.0
GROUP = 5  # flowers in a request


def config_with(rows_count: int, *others: str) -> str:
    def flowers(rows: int) -> dict[str, Any]:
        return {
            "trigger": {"type": "RowsCountTrigger", "rows_count": rows},
            "report_config": {"metrics": ["DataDriftPreset"]},
            "reference_path": "reference.parquet",
            "project_name": "Iris",
            "api_url": "workspace",
        }

    collectors = {"flowers": flowers(rows_count)} | {name: flowers(1000) for name in others}
    return json.dumps({"collectors": collectors}, indent=2)


def play(directory: Path, pace: float) -> None:
    """Play the session; each stage is waited for, and shown for ``pace`` seconds."""
    iris = load_iris(as_frame=True).data
    iris.sample(75, random_state=0).to_parquet(directory / "reference.parquet")
    config = directory / "collector_config.json"
    config.write_text(config_with(75))
    port = free_port()
    # It shares our terminal, and draws its view there; so we are silent until it has ended.
    command = [sys.executable, "-P", "-m", "collector", "--port", str(port)]
    daemon = subprocess.Popen(command, cwd=directory)  # noqa: S603
    try:
        with CollectorClient(f"http://127.0.0.1:{port}", retries=8) as client:
            first = lambda: client.status()["collectors"][0]  # noqa: E731
            wait_for(lambda: first()["state"] == "waiting", daemon)  # Evidently is loaded by then
            time.sleep(pace)
            for start in range(0, len(iris), GROUP):
                client.send_data("flowers", iris[start : start + GROUP])
                time.sleep(pace / 10)
            wait_for(lambda: first()["snapshots"] == 2 and not first()["outbox"], daemon)
            time.sleep(pace)
            config.write_text(config_with(-75))
            wait_for(lambda: client.status()["config"]["error"], daemon)
            time.sleep(3 * pace)
            config.write_text(config_with(60, "more-flowers"))
            wait_for(lambda: len(client.status()["collectors"]) == 2, daemon)
            time.sleep(3 * pace)
    finally:
        daemon.send_signal(signal.SIGINT)
        code = daemon.wait(30)
    print(f"The service has ended with {code}, and this is the terminal as it was.")


def wait_for(condition: Callable[[], Any], daemon: subprocess.Popen[bytes]) -> None:
    given_up = time.monotonic() + PATIENCE
    while not condition():
        if daemon.poll() is not None or time.monotonic() > given_up:
            sys.exit("the service has ended, or doesn't get on; its log is above")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds that each stage is shown for")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        play(Path(made), arguments.pace)
