"""Stands in a modern ``evidently ui``'s place for tests of what becomes of rows: it files whatever it is sent."""

import json
import threading
import uuid
from http.server import ThreadingHTTPServer
from pathlib import Path

from answering import Answering


class Shelf:
    """Serves as much of Evidently's API as delivery asks for, over a directory that has the UI's form."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True)
        shelf = self

        class Handler(Answering):
            def do_GET(self):  # noqa: N802  # the library's names
                self.reply(*shelf.look(self.path.strip("/").split("/")))

            def do_POST(self):  # noqa: N802  # likewise
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.reply(*shelf.take(self.path.strip("/").split("/"), sent))

            def reply(self, status, answer):
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def wait_up(self):
        return self

    def make_project(self, name):
        return self.take(["api", "v2", "projects"], {"name": name})[1]

    def take(self, path, sent):
        match path:
            case ["api", "v2", "projects"]:
                made = str(uuid.uuid4())
                (self.directory / made / "snapshots").mkdir(parents=True)
                self._write(Path(made) / "metadata.json", {"id": made, "name": sent["name"]})
                return 201, made
            case ["api", "v2", "snapshots", project] if (self.directory / project).exists():
                made = str(uuid.uuid4())
                self._write(Path(project) / "snapshots" / f"{made}.json", sent)
                return 201, {"snapshot_id": made}
        return 404, {}

    def look(self, path):
        match path:
            case ["api", "projects", "search", name]:
                projects = [json.loads(file.read_bytes()) for file in self.directory.glob("*/metadata.json")]
                return 200, [one for one in projects if one["name"] == name]
            case ["api", "projects", project, "snapshots"] if (self.directory / project).exists():
                files = (self.directory / project / "snapshots").glob("*.json")
                return 200, [{"id": one.stem, "metadata": json.loads(one.read_bytes())["metadata"]} for one in files]
        return 404, {}

    def _write(self, path, content):
        scratch = self.directory / f".{uuid.uuid4()}"
        scratch.write_text(json.dumps(content), encoding="utf-8")
        scratch.rename(self.directory / path)

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
