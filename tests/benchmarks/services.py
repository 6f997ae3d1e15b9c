"""Services under load: our daemon, the original collector, and Evidently's UIs, each as a user starts it."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from . import events
from .processes import ROOT, Process, free_port, wait_for

NEVER = 10**9
# What the original saved itself: a legacy DataDriftPreset. Ours loads it unchanged.
_SAVED = ROOT / "tests" / "compat" / "configs" / "0.7-legacy" / "report_drift_interval.json"
LEGACY_DRIFT = json.loads(_SAVED.read_text(encoding="utf-8"))["collectors"]["main"]
MODERN_DRIFT = {"metrics": ["DataDriftPreset"]}
ROW_COUNT = {"metrics": ["RowCount"]}
_REFERENCE = "reference.parquet"
_ORIGINAL = (
    "import sys; from evidently.legacy.collector.app import run; run(port=int(sys.argv[1]), config_path=sys.argv[2])"
)


def collector(**others: Any) -> dict[str, Any]:
    """Make a collector's config that both take; it gathers rows and never reports unless told otherwise."""
    trigger = {"type": "evidently:collector_trigger:RowsCountTrigger", "rows_count": NEVER}
    made: dict[str, Any] = copy.deepcopy(LEGACY_DRIFT)
    return made | {"trigger": trigger, "reference_path": _REFERENCE, "api_url": "workspace"} | others


class Service(Process):
    """A collector that listens; ``main`` is the collector that most rows POST to."""

    name = ""
    method = "POST"  # of rows, to
    path = "/main/data"

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        directory.mkdir(exist_ok=True)
        if not (directory / _REFERENCE).exists():
            events.frame(REFERENCE_ROWS, seed=1).to_parquet(directory / _REFERENCE)
        self.directory = directory
        self.port = free_port()
        path = directory / "collector_config.json"
        # The original takes no key for an id.
        self._configs = {key: one | {"id": key} for key, one in config["collectors"].items()}
        whole = {"autosave": False} | config | {"collectors": self._configs}
        path.write_text(json.dumps(whole), encoding="utf-8")
        super().__init__(self.arguments(path), directory, "service.log")
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=300)

    def arguments(self, config_path: Path) -> list[str]:
        raise NotImplementedError

    def end(self, number: int = 15) -> None:
        self.http.close()
        super().end(number)

    def wait_accepting(self, collector_id: str = "main", pause: float = 0.002) -> None:
        """Return once it has accepted a POST."""
        body = events.json_body(1)

        def accepted() -> bool:
            self.check_runs()
            with suppress(httpx.TransportError):
                return self.http.post(f"/{collector_id}/data", content=body).status_code == 201
            return False

        wait_for(accepted, f"{self.name}: a POST accepted", pause)

    def post(self, body: bytes, media_type: str = events.JSON, collector_id: str = "main") -> None:
        answer = self.http.post(f"/{collector_id}/data", content=body, headers={"Content-Type": media_type})
        if answer.status_code != 201:
            raise RuntimeError(f"{self.name} answered {answer.status_code}: {answer.text[:500]}")

    def reset(self, collector_id: str = "main") -> None:
        """Drop a collector's rows, and wait until what follows from that is done."""
        self.drop(collector_id)
        self.http.post(f"/{collector_id}", json=self._configs[collector_id]).raise_for_status()
        self.wait_calm()

    def drop(self, collector_id: str) -> None:
        """Drop a collector's rows; the original does so at each new config."""


class Ours(Service):
    """``python -m collector``."""

    name = "ours"

    def arguments(self, config_path: Path) -> list[str]:
        return ["-m", "collector", "--config-path", str(config_path), "--port", str(self.port), "--no-live"]

    def drop(self, collector_id: str) -> None:
        self.http.delete(f"/{collector_id}").raise_for_status()


class Original(Service):
    """``evidently.legacy.collector``, litestar on uvicorn."""

    name = "original"

    def arguments(self, config_path: Path) -> list[str]:
        return ["-c", _ORIGINAL, str(self.port), str(config_path)]


class UI(Process):
    """A running ``evidently ui`` or ``evidently legacy_ui``."""

    def __init__(self, directory: Path, command: str) -> None:
        self._is_modern = command == "ui"
        workspace = directory / command
        workspace.mkdir()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = ["--host", "127.0.0.1", "--port", str(port), "--workspace", str(workspace)]
        super().__init__(["-m", "evidently.cli", command, *options], directory, f"{command}.log")
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def end(self, number: int = 15) -> None:
        self.http.close()
        super().end(number)

    def wait_up(self) -> None:
        def is_up() -> bool:
            self.check_runs()
            with suppress(httpx.TransportError):
                return self.http.get("/api/version").status_code == 200
            return False

        wait_for(is_up, "the UI")

    def make_project(self, name: str) -> str:
        made = self.http.post("/api/v2/projects" if self._is_modern else "/api/projects", json={"name": name})
        made.raise_for_status()
        return str(made.json() if self._is_modern else made.json()["id"])

    def snapshots(self, project: str) -> int:
        """Count a project's snapshots, as a user's browser does."""
        listed = self.http.get(f"/api/projects/{project}/snapshots")
        listed.raise_for_status()
        return len(listed.json())


REFERENCE_ROWS = 100_000
