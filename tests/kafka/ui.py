"""A stand-in for ``evidently ui``: it makes ids itself, is slow, and now and then loses the answer to what it kept.

``python ui.py FILE LOSS`` prints its port; each snapshot that is kept, each that is deleted, and each list that was
asked for, is a line of FILE. A project's id is its name.
"""

import json
import random
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

out, loss = Path(sys.argv[1]), float(sys.argv[2])
kept, lock = {}, threading.Lock()
started = time.monotonic()


def note(line):
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        snapshot = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.startswith("/api/v2/snapshots/"):
            self.answer({"id": snapshot["name"]})
            return
        time.sleep(random.random() * 0.1)
        with lock:  # its ids sort by time, as Evidently's do
            id_ = str(uuid.UUID(int=int((time.monotonic() - started) * 1e6) << 40 | len(kept)))
            kept[id_] = self.path.rpartition("/")[2], snapshot["metadata"]
            note({"id": id_, **snapshot})
        if random.random() < loss:
            self.close_connection = True
            self.connection.close()
        else:
            self.answer({"snapshot_id": id_})

    def do_GET(self):
        *_, what, last = self.path.split("/")
        if what == "search":
            self.answer([{"id": last, "name": last}])
            return
        with lock:  # the path is projects/PROJECT/snapshots
            note({"listed": what})
            found = [{"id": id_, "metadata": metadata} for id_, (its, metadata) in kept.items() if its == what]
        self.answer(found)

    def do_DELETE(self):
        id_ = self.path.rpartition("/")[2]
        with lock:
            if kept.pop(id_, None) is not None:
                note({"deleted": id_})
        self.answer(None)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
server.serve_forever()
