"""Fakes: stand for the parts around what a test is about, and do at once what the real ones do in time."""

import json
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from types import SimpleNamespace

import pyarrow as pa
import trio
import uuid6
from answering import Answering
from machine import PATIENCE

from collector.config import CollectorConfig, CollectorServiceConfig
from collector.config.following import followers_of
from collector.errors import ConfigError, IsFetched, IsFollower, UnknownCollector
from collector.status.counts import Counts
from collector.status.status import ConfigState, ServiceStatus, Status
from collector.supervision.edits import Changes

REFERENCE = "references/main.parquet"  # where a fake supervisor says that it put one


class FakeGateway:
    """Takes events to a log once a test lets it, or refuses them; they are written down."""

    topic = "t"

    def __init__(self):
        self.passed = []
        self.error = None
        self.gate = trio.Event()

    async def pass_on(self, format_, body):
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.passed.append((format_, body))


class FakePipeline:
    """A pipeline that waits for ever: it seals when it is told to, and evaluates nothing."""

    sealed = 0
    gateway = None

    def __init__(self, config, journal, skipped):
        self.config = config
        self._journal = journal
        self._skipped = skipped

    def note_skipped(self, rows, why):
        self._skipped.append((self.config.id, rows, why))

    async def flush(self):
        return await self._journal.seal(self.config.id, str(uuid6.uuid7()))

    def status(self):
        return Status(self.config.id, "waiting", sealed=self.sealed)

    async def take_whole(self, whole, frame):
        return await self._journal.take_whole(whole, frame)

    async def failed(self):
        return await self._journal.batches(self.config.id, "failed")

    async def retry(self):
        batches = await self.failed()
        for batch in batches:
            await self._journal.mark(batch, "sealed", attempts=0, error="")
        return batches

    async def show_dashboard(self):
        return 7


class FakeSupervisor:
    """Takes what a supervisor takes; ``find_problems`` stands for Evidently's opinion of a config."""

    def __init__(self, journal, config=None, find_problems=lambda _: []):
        self.config = config or CollectorServiceConfig()
        self.references = []
        self.gateways = {}
        self.skipped = []  # (follower, rows, why)
        self.edit_error = None
        self.counts = Counts()
        self._journal = journal
        self._find_problems = find_problems

    def pipeline(self, collector_id):
        if collector_id not in self.config.collectors:
            raise UnknownCollector(collector_id)
        pipeline = FakePipeline(self.config.collectors[collector_id], self._journal, self.skipped)
        pipeline.gateway = self.gateways.get(collector_id)
        return pipeline

    def takers(self, collector_id):
        if self.pipeline(collector_id).config.kafka is not None:
            raise IsFetched(collector_id)
        if leader := self.pipeline(collector_id).config.events_from:
            raise IsFollower(collector_id, leader)
        return followers_of(self.config.collectors).get(collector_id, ())

    def private(self, collector_id):
        config = self.config.collectors.get(collector_id)
        return None if config is None else self.config.private_of(config)

    @property
    def config_text(self):
        return self.config.to_text()

    @property
    def edits(self):
        return SimpleNamespace(state=self.service_status().config)

    def status(self, collector_id):
        self.pipeline(collector_id)
        return next(one for one in self.service_status().collectors if one.id == collector_id)

    def service_status(self):
        collectors = [
            Status(key, "waiting", self._journal.waiting(key).rows, config.trigger.rows)
            for key, config in self.config.collectors.items()
        ]
        return ServiceStatus("1.0", 0.0, 1.0, "", ConfigState("collector_config.json", 0.0), tuple(collectors))

    async def check(self, config):
        if problems := self._find_problems(config):
            raise ConfigError(problems)

    async def reload(self):
        await trio.lowlevel.checkpoint()
        if self.edit_error is not None:
            raise self.edit_error
        return Changes(changed=("main",))

    async def put(self, config, agree=lambda _: None):
        agree(self.config.collectors.get(config.id))
        self.config = self.config.with_collector(config)

    async def delete(self, collector_id, agree):
        agree(self.pipeline(collector_id).config)
        self.config = self.config.without_collector(collector_id)
        rows, *_ = await self._journal.forget(collector_id)
        return rows

    async def rename(self, old, new, agree):
        agree(self.pipeline(old).config)
        config = self.pipeline(old).config.model_copy(update={"id": new})
        self.config = self.config.without_collector(old).with_collector(config)
        return config

    async def newest_rows(self, collector_id, after, rows):
        self.pipeline(collector_id)
        return {"rows": [{"a": 1}][:rows] if after is not None else [], "next": 7}

    async def set_reference(self, collector_id, frame):
        config = self.pipeline(collector_id).config
        self.references.append((collector_id, frame))
        await self.put(config.model_copy(update={"reference_path": REFERENCE}))


def collector_config(collector_id="main", **others):
    """Make a sound config of one collector, with what a test wants otherwise."""
    return CollectorConfig.parse(
        {
            "id": collector_id,
            "trigger": {"type": "RowsCountTrigger", "rows_count": 1000},
            "report_config": {"metrics": ["DataDriftPreset"]},
            "project_id": "018f0000-0000-7000-8000-00000000000a",
        }
        | others
    )


class FakeService:
    """Answers 201, or what ``answers`` has next: a status, or ``"cut"`` to end the connection. Waits for ``gate``.

    What has more than ``max_bytes`` is refused as nginx does, unread. A GET is answered with its own path.
    """

    def __init__(self):
        self.answers = []
        self.requests = []
        self.max_bytes = float("inf")
        self.gate = threading.Event()
        self.gate.set()
        self.look = lambda: None
        self.came = threading.Condition()
        service = self

        class Handler(Answering):
            def do_GET(self):  # noqa: N802  # the library's names
                self.answer(200, json.dumps({"path": self.path}).encode())

            def do_POST(self):  # noqa: N802  # likewise
                size = int(self.headers["Content-Length"])
                if size > service.max_bytes:
                    with service.came:
                        service.requests.append((self.path, b"", self.headers["Idempotency-Key"], 413))
                    self.close_connection = True
                    self.answer(413, b"<html><title>413 Request Entity Too Large</title></html>")
                    self.rfile.read(size)  # it lingers, so that the answer arrives
                    return
                body = self.rfile.read(size)
                service.look()
                service.gate.wait(PATIENCE)
                with service.came:
                    answer = service.answers.pop(0) if service.answers else 201
                    service.requests.append((self.path, body, self.headers["Idempotency-Key"], answer))
                    service.came.notify_all()
                if answer == "cut":
                    self.close_connection = True
                    return
                self.answer(answer, b"{}")

            def answer(self, status, content):
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        class Server(ThreadingHTTPServer):
            request_queue_size = 1024  # a burst finds room

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def batches(self):
        """Return the numbers in the column ``n`` of each request that was taken."""
        taken = [body for _, body, _, answer in self.requests if answer == 201]
        return [pa.ipc.open_stream(body).read_all()["n"].to_pylist() for body in taken]

    def numbers(self):
        return [number for batch in self.batches() for number in batch]

    def wait_for_requests(self, number):
        with self.came:
            assert self.came.wait_for(lambda: len(self.requests) >= number, PATIENCE)


@contextmanager
def running_service():
    """Run a service on a free port."""
    made = FakeService()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.gate.set()
        made.server.shutdown()
        thread.join()
        made.server.server_close()
