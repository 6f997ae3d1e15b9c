"""Real Evidently services over a workspace directory."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
from machine import PATIENCE, free_port, wait_until

UI_SECRET = "let-me-write"


class UI:
    """A running ``evidently ui`` or ``evidently legacy_ui`` over a workspace directory."""

    def __init__(self, command, directory, secret=None, port=None):
        self.command = command
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.secret = secret
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--workspace", str(directory)]
        secrets = ["--secret", secret] if secret else []
        with (self.directory.parent / f"{command}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "evidently.cli", command, *arguments, *secrets],
                env=os.environ | {"DO_NOT_TRACK": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        headers = {"evidently-secret": secret} if secret else {}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE)

    @property
    def is_modern(self):
        return self.command == "ui"

    def is_up(self):
        with contextlib.suppress(httpx.TransportError):
            return self.http.get("/api/version").status_code == 200
        return False

    def wait_up(self):
        wait_until(self.is_up, f"the {self.command}")
        return self

    def get(self, path):
        """Return the JSON of an answer that must be 200."""
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, path, fits):
        """Return the JSON at ``path`` once it fits."""

        def look():
            with contextlib.suppress(httpx.TransportError):
                answer = self.http.get(path)
                if answer.status_code == 200 and fits(answer.json()):
                    return [answer.json()]
            return None

        return wait_until(look, path)[0]

    def make_project(self, name):
        made = self.http.post("/api/v2/projects" if self.is_modern else "/api/projects", json={"name": name})
        made.raise_for_status()
        return made.json() if self.is_modern else made.json()["id"]

    def projects(self, name):
        return [one["id"] for one in self.http.get("/api/projects").json() if one["name"] == name]

    def list_snapshots(self, project):
        return self.get(f"/api/projects/{project}/snapshots")

    def download(self, project, snapshot_id):
        """Read a snapshot back as JSON."""
        answer = self.http.get(f"/api/projects/{project}/{snapshot_id}/download", params={"report_format": "json"})
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_constant=str)

    def close(self):
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)


@contextlib.contextmanager
def served(command, directory):
    """Run a service with a secret over a new directory."""
    with contextlib.closing(UI(command, directory, UI_SECRET)) as ui:
        yield ui.wait_up()
