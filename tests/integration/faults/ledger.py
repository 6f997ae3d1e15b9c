"""The ledger: which numbered rows were sent, and what was answered; and threads that send them."""

import contextlib
import io
import itertools
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pyarrow as pa

from collector.client import CollectorClient
from collector.errors import ServiceUnavailable

from ..conftest import PATIENCE, wait_until

NUMBER = "number"  # the column whose text names the POST that a row came with
# Bytes; of more than MAX_HELD, a body is in a file.
LARGE = 300_000
PAUSE = 0.05  # after a refusal or a broken connection
RETRIES = 6  # of the client, with pauses of 13 s in all


@dataclass(frozen=True)
class Post:
    """One request of an ended load: when it was begun, how long it took, and its status (0 for none)."""

    begun: float
    seconds: float
    status: int


@dataclass
class Ledger:
    """What was sent. A POST is kept whole or not at all, so its rows share one label; keys are (collector, label).

    What is sent to a collector is its followers' too, which are named by it.
    """

    sent: dict = field(default_factory=dict)
    acknowledged: set = field(default_factory=set)
    refused: set = field(default_factory=set)
    followers: dict = field(default_factory=dict)
    _numbers: itertools.count = field(default_factory=itertools.count)

    def begin(self, collector, rows):
        """Enter a POST that is about to be made; returns its key."""
        key = (collector, f"n{next(self._numbers)}")
        self.sent |= dict.fromkeys(self.shares(key), rows)
        return key

    def shares(self, key):
        """Return the keys under which rows are kept: that of the collector, and those of its followers."""
        collector, label = key
        return [(one, label) for one in (collector, *self.followers.get(collector, ()))]

    def answer(self, key, status):
        """Enter the answer to a POST; one that has none is neither acknowledged nor refused."""
        if 200 <= status < 300:
            self.acknowledged.update(self.shares(key))
        elif status:
            self.refused.update(self.shares(key))

    def rename(self, old, new):
        """Enter that all which a collector has is another id's."""
        now = {key: (new, key[1]) if key[0] == old else key for key in self.sent}
        self.sent = {now[key]: rows for key, rows in self.sent.items()}
        self.acknowledged, self.refused = ({now[key] for key in keys} for keys in (self.acknowledged, self.refused))


def table(label, rows):
    return pa.table({NUMBER: [label] * rows, "value": [float(row) for row in range(rows)]})


def json_body(label, rows):
    return json.dumps(table(label, rows).to_pydict()).encode(), "application/json"


def arrow_body(label, rows):
    sink = io.BytesIO()
    made = table(label, rows)
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return sink.getvalue(), "application/vnd.apache.arrow.stream"


def large_body(label, rows):
    """Make a body that is too large for the journal."""
    columns = table(label, rows).to_pydict() | {"text": ["x" * (LARGE // rows)] * rows}
    return json.dumps(columns).encode(), "application/json"


def post(http, ledger, collector, rows=1, encode=json_body, **headers):
    """Send one POST and enter what became of it; returns its status, 0 if there was no answer."""
    key = ledger.begin(collector, rows)
    body, content_type = encode(key[1], rows)
    try:
        answer = http.post(f"/{collector}/data", content=body, headers={"Content-Type": content_type, **headers})
    except httpx.TransportError:
        return 0
    ledger.answer(key, answer.status_code)
    return answer.status_code


class Load:
    """Threads that POST numbered rows to collectors in turn, until the block ends.

    Of the threads, ``plain`` speak plain HTTP and never repeat, ``clients`` are our client, which repeats what it has
    no answer to, under the same idempotency key. ``pause`` is between a thread's POSTs. With ``is_large``, some of the
    plain ones are too large for the journal.
    """

    def __init__(self, url, ledger, collectors, *, rows=1, plain=2, clients=2, pause=0.01, is_large=False):
        self.ledger = ledger
        self.posts = []
        self._url = url
        self._collectors = list(collectors)
        self._rows = rows
        self._pause = pause
        self._bodies = [json_body, arrow_body] * 5 + [large_body] * is_large
        self._is_over = threading.Event()
        self._run = [self._post_plainly] * plain + [self._post_by_client] * clients

    def __enter__(self):
        self._pool = ThreadPoolExecutor(len(self._run))
        self._threads = [self._pool.submit(run) for run in self._run]
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_for_posts(self, count):
        """Return once so many POSTs have been made by the threads that speak plain HTTP."""
        wait_until(lambda: len(self.posts) >= count, f"{count} POSTs")

    def stop(self):
        """End the load, once each of its threads has its last answer; raises what a thread raised."""
        self._is_over.set()
        self._pool.shutdown()
        for thread in self._threads:
            thread.result()

    def _post_plainly(self):
        encode, collectors = itertools.cycle(self._bodies), itertools.cycle(self._collectors)
        with httpx.Client(base_url=self._url, timeout=PATIENCE) as http:
            while not self._is_over.wait(self._pause):
                begun = time.monotonic()
                status = post(http, self.ledger, next(collectors), self._rows, next(encode))
                self.posts.append(Post(begun, time.monotonic() - begun, status))
                if status != 201:
                    self._is_over.wait(PAUSE)

    def _post_by_client(self):
        collectors = itertools.cycle(self._collectors)
        with CollectorClient(self._url, retries=RETRIES) as client:
            while not self._is_over.wait(self._pause):
                collector = next(collectors)
                key = self.ledger.begin(collector, self._rows)
                with contextlib.suppress(ServiceUnavailable):
                    client.send_data(collector, table(key[1], self._rows))
                    self.ledger.answer(key, 201)
