"""A service that stands for one that runs elsewhere."""

from contextlib import contextmanager

from collector.errors import RequestRefused
from collector.formats.frames import format_of


class FakeService:
    """Keeps the bodies that are sent, each key's once; ``trouble`` says which sendings, from 1, raise what.

    What has more than ``max_bytes`` is refused.
    """

    def __init__(self, *ids, rows_needed=None, trouble=None, max_bytes=float("inf")):
        counts = {"rows_waiting": 0, "next_time": None, "sealed": 0, "snapshots": 0, "problems": []}
        self.collectors = [
            {"id": one, "state": "waiting", "rows_needed": rows_needed, **counts} for one in ids or ("main",)
        ]
        self.kept = {}
        self.batches = []  # (query, format, body) of those that are new
        self.sendings = 0
        self.trouble = trouble or {}
        self.max_bytes = max_bytes
        self.logs = [[]]
        self.polls = 0
        self.retries = []
        self.what = set()  # data, labels

    @contextmanager
    def open(self, retries=0):
        self.retries.append(retries)
        yield self

    def status(self):
        return {"time": 1000.0, "collectors": self.collectors}

    def send_body(self, collector_id, body, media_type, key, what="data"):
        self.sendings += 1
        if error := self.trouble.get(self.sendings):
            raise error
        if len(body) > self.max_bytes:
            raise RequestRefused(413, "too large")
        self.what.add(what)
        is_new = key not in self.kept
        self.kept.setdefault(key, (collector_id, media_type, body))
        return is_new

    def send_batch_body(self, collector_id, body, media_type, query):
        self.sendings += 1
        if error := self.trouble.get(self.sendings):
            raise error
        assert collector_id in [one["id"] for one in self.collectors]
        sent = (query, format_of(media_type), body)
        is_new = sent not in self.batches or "replace" in query
        self.batches += [sent] * is_new
        return is_new

    def get_logs(self, collector_id):
        if collector_id not in [one["id"] for one in self.collectors]:
            raise RequestRefused(404, "not found")
        self.polls += 1
        return self.logs.pop(0)
