"""Fakes: workers that compute in this process, a workspace in memory, and a world in which a pipeline works on them."""

import json
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from urllib.parse import parse_qsl

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trio
from disks import append

from collector.config import CollectorConfig, CollectorServiceConfig, Retention
from collector.errors import EvaluationError, Problem
from collector.formats.frames import Frame, check_body
from collector.labels.indexing import index_batch
from collector.labels.joining import join
from collector.labels.matching import fates_of, match, wanted_by
from collector.pipeline.pipeline import Pipeline
from collector.pipeline.work import Tools
from collector.store import parts
from collector.store.data_dir import DataDir, open_data_dir
from collector.store.fetching import fetch
from collector.store.journal import Journal, open_journal
from collector.store.records import Part
from collector.waiting.clocks import Clocks

# Fake time begins here, in Unix seconds: 2023-11-14 22:13:20 UTC.
EPOCH = 1_700_000_000.0
# A service that keeps nothing of delivered batches.
FORGETFUL = CollectorServiceConfig(retention=Retention(batches=0))
# Long against any pause that a test is about; a test that waits so long for something has failed.
PATIENCE = 1000


class FakeWorkers:
    """Has the methods of Workers; a snapshot holds the numbers of its rows, a test says what goes wrong."""

    def __init__(self):
        self.reports = trio.CapacityLimiter(2)
        self.slow_reports = trio.CapacityLimiter(1)
        self.backfills = trio.CapacityLimiter(1)
        self.rehearsals = trio.CapacityLimiter(1)
        self.rehearsal_starting_time = 0.0
        self.rehearsed = []
        self.rehearsal = {"failed": [], "left_out": []}  # what comes of it
        self.rehearsal_seconds = 0.0
        self.problems = []
        self.reference_problems = []
        self.row_problems = []  # of `where` and `segments`
        self.rows_checked = []
        self.failures = []  # raised by the next evaluations, one each
        self.part_failures = []
        self.seconds = 0.0
        self.starting_time = self.posted_starting_time = 0.0
        self.generation = "modern"
        self.outcome = {}
        self.segments = {}  # by name, what differs in their outcomes
        self.evaluated = []
        self.stripped = []
        self.linked = []
        self.written = []
        self.looked_at = []  # (snapshot, columns_max) of those that panels were derived from
        self.segments_shown = []  # beside them
        self.tab_failures = []
        self.shown = []
        self.check_calls = 0
        self.check_failures = []
        self.generations = {}  # of the snapshots in a directory, by its name
        self.hold = None  # an event: evaluations wait for it
        self.labels_work = []  # what was done for labels, by name
        self.label_failures = []
        self.made = []  # references: of how many parts, and with how many rows
        self.making_failures = []
        self.compared = []  # the numbers of the rows of each reference that a batch was compared with; None: of none
        self.fetched = []  # what was known of each reference that was looked at in a store

    async def check_body(self, format_, body, bounds):
        return await trio.to_thread.run_sync(check_body, format_, body, bounds)

    async def check(self, config):  # noqa: ARG002  (as in Workers)
        await trio.lowlevel.checkpoint()
        self.check_calls += 1
        if self.check_failures:
            raise self.check_failures.pop(0)
        return list(self.problems)

    async def check_table(self, path, field):
        await trio.lowlevel.checkpoint()
        missing = [] if path.exists() else [Problem(field, f"no file {path}")]
        return missing + self.reference_problems

    async def check_rows(self, config, reference, private=None):  # noqa: ARG002  (as in Workers)
        await trio.lowlevel.checkpoint()
        self.rows_checked.append((reference, *config.rows_wanted))
        return list(self.row_problems)

    async def generations_in(self, directory):
        await trio.lowlevel.checkpoint()
        return self.generations.get(directory.name, set())

    async def evaluate(self, job):
        self.evaluated.append(job)
        await trio.sleep(self.seconds)
        if self.hold is not None:
            await self.hold.wait()
        if self.failures:
            raise self.failures.pop(0)
        numbers = [n for part in job["parts"] for n in pq.read_table(part)["n"].to_pylist()]
        self.compared.append(numbers_in(job["reference"]))
        fill(Path(job["snapshot_path"]), json.dumps(numbers))
        made = outcome_of(numbers, self.generation, job["batch_id"]) | self.outcome
        if self.segments:
            segments = [self._segment(job, numbers, name, outcome) for name, outcome in self.segments.items()]
            made |= {"segments": segments, "skipped_segments": {"small": 3}}
        return made

    def _segment(self, job, numbers, name, outcome):
        file = f"{job['batch_id']}.{name}.json"
        fill(Path(job["snapshot_path"]).with_name(file), json.dumps([name, *numbers]))
        report_id = f"{job['batch_id']}-{name}"
        made = outcome_of(numbers, self.generation, report_id) | {"matched_rows": len(numbers), "file": file}
        return made | {"segment": name} | outcome

    async def rehearse(self, job, *, is_aside):
        assert is_aside, "a batch would wait for it"
        self.rehearsed.append(job)
        await trio.sleep(self.rehearsal_seconds)
        return self.rehearsal

    async def write_to_directory(self, delivery):
        await trio.lowlevel.checkpoint()
        self.written.append(delivery)
        if self.failures:
            raise self.failures.pop(0)

    async def tab_of(self, snapshot, config, about, segments):  # noqa: ARG002  (as in Workers)
        await trio.lowlevel.checkpoint()
        self.looked_at.append((snapshot, config.columns_max))
        self.segments_shown.append(segments)
        if self.tab_failures:
            raise self.tab_failures.pop(0)
        return {"collector": config.id, "panels": [{"id": "one"}, {"id": "two"}]}

    async def write_dashboard(self, place, tab, *, is_asked):
        await trio.lowlevel.checkpoint()
        self.shown.append((place, tab, is_asked))
        if self.failures:
            raise self.failures.pop(0)
        return True

    async def strip_widgets(self, snapshot):
        await trio.lowlevel.checkpoint()
        if self.generation == "legacy":  # as in Workers
            raise ValueError("a legacy snapshot has no widgets to leave out: they are drawn from its values")
        self.stripped.append(snapshot)

    async def link_datasets(self, snapshot, ids):  # noqa: ARG002  (as in Workers)
        await trio.lowlevel.checkpoint()
        self.linked.append(ids)

    async def write_part(self, directory, run, target, name):
        await trio.lowlevel.checkpoint()
        if self.part_failures:
            raise self.part_failures.pop(0)
        written = parts.write_part(str(directory), run.collector, run.first, run.last, str(target))
        return Part(name, written.rows, written.size)

    async def write_windows(self, directory, run, target, name, windows):
        await trio.lowlevel.checkpoint()
        if self.part_failures:
            raise self.part_failures.pop(0)
        of_run = (run.collector, run.first, run.last)
        folder = name.rpartition("/")[0]
        return [
            Part(f"{folder}/{Path(one.path).name}", one.rows, one.size, one.window, one.late)
            for one in parts.write_windows(str(directory), of_run, str(target), windows)
        ]

    async def index_batch(self, *args):
        return await self._on_labels(index_batch, *args)

    async def match_labels(self, *args):
        return await self._on_labels(match, *args)

    async def join_labels(self, *args):
        return await self._on_labels(join, *args)

    async def labels_wanted_by(self, *args):
        return await self._on_labels(wanted_by, *args)

    async def fates_of(self, *args):
        return await self._on_labels(fates_of, *args)

    async def _on_labels(self, work, *args):
        await trio.lowlevel.checkpoint()
        self.labels_work.append(work.__name__)
        if self.label_failures:
            raise self.label_failures.pop(0)
        return work(*args)

    async def make_reference(self, paths, rows, target, private):
        await trio.lowlevel.checkpoint()
        self.made.append((len(paths), rows))
        if self.making_failures:
            raise self.making_failures.pop(0)
        parts.make_reference(paths, rows, str(target), private)

    async def fetch_reference(self, address, data_dir, known, private):
        await trio.lowlevel.checkpoint()
        self.fetched.append(known)
        return fetch(address, str(data_dir), known, private)

    async def write_reference(self, frame, target):
        await trio.lowlevel.checkpoint()
        parts.write_reference(frame.format, frame.body, str(target))


def numbers_in(path):
    """Return the numbers of the rows of a parquet file; None if there is none."""
    return pq.read_table(path)["n"].to_pylist() if path is not None and Path(path).exists() else None


def outcome_of(numbers, generation="modern", report_id="report"):
    """Make what the worker's ``evaluate`` returns, in the form of collector.workers.exchange.Outcome."""
    return {
        "ok": True,
        "generation": generation,
        "kind": "Report",
        "report_id": report_id,
        "rows": len(numbers),
        "drift_share": 0.25,
        "drifted_columns": 1,
        "columns": 4,
        "dataset_drift": False,
        "tests": {},
        "failed_metrics": 0,
        "findings": {
            "drift": [
                {"column": "age", "is_drifted": True, "score": 0.31, "threshold": 0.1, "method": "PSI"},
                {"column": "plan", "is_drifted": False, "score": 0.05, "threshold": 0.1, "method": "PSI"},
            ],
            "failed_tests": [],
            "not_computed": [],
            "values": [{"metric": "RowCount", "column": "", "label": "", "value": float(len(numbers))}],
        },
        "notes": [],
        "datasets": [],
        "bytes": 100,
    }


class FakeWorkspace:
    """A workspace: takes each batch that it doesn't find, if it is told to look; raises what a test says, one a try.

    A failure in ``lost`` is raised after the snapshot was taken: an answer that doesn't come.
    """

    def __init__(self):
        self.failures = []
        self.harm = []  # its problems
        self.surprises = []  # raised as they are, before anything is sent
        self.lost = []
        self.tries = []  # (time, batch id, is_doubtful)
        self.taken = []  # (batch id, numbers of its rows)
        self.hold = None
        self.shown = []  # (collector, is_asked)
        self.show_failures = []
        self.sweeps = 0
        self.show_hold = None
        self.is_a_persons = False  # the dashboard
        self.starting_time = self.posted_starting_time = 0.0
        self._answered = trio.Event()

    def open_workspace(self, config):  # noqa: ARG002  (as in Workspaces)
        return self

    async def problems(self, others):
        await trio.lowlevel.checkpoint()
        self.others = [other.id for other in others]
        return list(self.harm)

    async def deliver(self, outgoing, progress):
        was_doubtful = progress.is_doubtful
        self.tries.append((trio.current_time(), outgoing.id, was_doubtful))
        if self.surprises:
            raise self.surprises.pop(0)
        await progress.keep(is_doubtful=True)
        if self.hold is not None:
            await self.hold.wait()
        self._answered.set()
        self._answered = trio.Event()
        if self.failures:
            error = self.failures.pop(0)
            if not was_doubtful and not error.is_ambiguous:
                await progress.keep(is_doubtful=False)
            raise error
        if not (was_doubtful and outgoing.id in dict(self.taken)):
            async with progress.sending():
                self.taken.append((outgoing.id, json.loads(outgoing.path.read_text(encoding="utf-8"))))
        if self.lost:
            raise self.lost.pop(0)

    async def remove_twins(self):
        await trio.lowlevel.checkpoint()
        self.sweeps += 1
        return 0

    async def show(self, tab, *, is_asked):
        await trio.lowlevel.checkpoint()
        if self.show_hold is not None:
            await self.show_hold.wait()
        self.shown.append((tab["collector"], is_asked))
        if self.show_failures:
            raise self.show_failures.pop(0)
        return self.is_a_persons is False or is_asked

    async def wait_answer(self):
        """Return with the next answer, good or bad."""
        await self._answered.wait()

    @property
    def rows(self):
        """The numbers of the rows of each batch taken."""
        return [numbers for _, numbers in self.taken]


class HoldWhileThreadsWork(trio.abc.Instrument):
    """Keeps the autojump clock from jumping while a thread works, which trio takes for idleness."""

    def __init__(self, clock):
        self._clock = clock

    def after_task_step(self, task):  # noqa: ARG002  (trio's name)
        self._clock.autojump_threshold = math.inf if trio.testing.active_thread_count() else 0


@dataclass
class Skew:
    """Seconds by which the wall clock was set, and for which the machine was suspended, unseen by trio's clock."""

    set_by: float = 0
    suspended: float = 0

    def wall(self):
        return EPOCH + self.passed() + self.set_by

    def passed(self):
        return trio.current_time() + self.suspended


@dataclass
class World:
    """A real journal and data directory, fake workers, a fake workspace and, with ``clock``, fake time."""

    journal: Journal
    data_dir: DataDir
    workers: FakeWorkers
    workspace: FakeWorkspace
    clocks: Clocks
    base: Path
    skew: Skew
    count: int = 0

    @property
    def tools(self):
        return Tools(self.journal, self.data_dir, self.workers, self.workspace, self.clocks, self.base)

    def pipeline(self, config=None, service=None, **tools):
        """Make a pipeline; ``tools`` replace the world's own."""
        return Pipeline(config or collector(), service or CollectorServiceConfig(), replace(self.tools, **tools))

    async def post(self, rows, collector_id="main"):
        """Append a frame of so many rows, numbered through."""
        await append(self.journal, collector_id, self.frame(rows))
        return list(range(self.count - rows, self.count))

    def frame(self, rows):
        """Make a frame of so many rows, numbered through."""
        numbers = list(range(self.count, self.count + rows))
        self.count += rows
        return Frame("json", json.dumps({"n": numbers}).encode(), rows)


@asynccontextmanager
async def open_world(path, monkeypatch=None, clock=None):
    """Make a world in a directory; with an autojump clock, its wall time is taken from it."""
    skew = Skew()
    clocks = Clocks() if clock is None else Clocks(skew.wall, skew.passed)
    if clock is not None:
        trio.lowlevel.add_instrument(HoldWhileThreadsWork(clock))
        monkeypatch.setattr("collector.store.journal.time", SimpleNamespace(time=skew.wall))
        # An hour of fake time would take as long as 3600 looks at files do.
        monkeypatch.setattr("collector.store.tending.SYNC_INTERVAL", 60.0)
    with open_data_dir(path / "data") as data_dir:
        async with open_journal(data_dir) as journal:
            yield World(journal, data_dir, FakeWorkers(), FakeWorkspace(), clocks, path, skew)


@asynccontextmanager
async def running(*pipelines):
    """Run pipelines while the block lasts."""
    async with trio.open_nursery() as nursery:
        for pipeline in pipelines:
            nursery.start_soon(pipeline.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def settled():
    """Return once everyone waits for something else than a thread."""
    await trio.testing.wait_all_tasks_blocked()
    while trio.testing.active_thread_count():
        await trio.testing.wait_all_threads_completed()
        await trio.testing.wait_all_tasks_blocked()


async def delivered(world, batches):
    """Wait until so many batches are in the workspace and gone from the journal's books."""
    await settled()
    with trio.fail_after(PATIENCE):
        while len(await world.journal.batches("main", "delivered")) < batches:
            await world.workspace.wait_answer()
            await settled()


async def states(world):
    return [batch.state for batch in await world.journal.batches("main", "sealed", "evaluated", "delivered", "failed")]


def collector(collector_id="main", trigger=None, **fields):
    """Make a collector's config; without a trigger, no number of rows here makes a batch due."""
    return CollectorConfig.parse(
        {
            "id": collector_id,
            "trigger": trigger or rows_trigger(10**9),
            "report_config": {"metrics": ["DataDriftPreset"]},
            "project_name": "project",
            "api_url": "workspace",
        }
        | fields
    )


def rows_trigger(rows):
    return {"type": "RowsCountTrigger", "rows_count": rows}


def interval_trigger(seconds):
    return {"type": "IntervalTrigger", "interval": seconds}


def either_trigger(rows, seconds):
    return {
        "type": "RowsCountOrIntervalTrigger",
        "rows_count_trigger": {"rows_count": rows},
        "interval_trigger": {"interval": seconds},
    }


def frame_of(numbers):
    return Frame("json", json.dumps({"n": numbers}).encode(), len(numbers))


def report_raised(message="ValueError: bad column"):
    """Make what Workers raise of a report that raised: it has a traceback."""
    return EvaluationError(message, "Traceback (most recent call last): ...")


def worker_died():
    return EvaluationError("the worker process died")


def write_reference(path):
    pq.write_table(pa.table({"n": [1, 2, 3]}), path)


def fill(path, text="[]"):
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Asked:
    """A request that a FakeService got."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class FakeService:
    """A real HTTP server on a port of its own; answers each ``(method, path)`` as a test says, and keeps the requests.

    An answer is ``(status, JSON value or bytes, headers)``; a list of answers is used up one by one, but for its last;
    a function of the request gives one; ``None`` closes the connection without one.
    """

    def __init__(self):
        self.answers = {}
        self.requests = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                service.answer(self)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815  (http.server's names)

            def log_message(self, *args):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def answer(self, handler):
        path, _, query = handler.path.partition("?")
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.requests.append(
            Asked(
                handler.command, path, dict(parse_qsl(query)), {k.lower(): v for k, v in handler.headers.items()}, body
            )
        )
        answer = self.answers.get((handler.command, path), (404, {"detail": "no such route"}, {}))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(self.requests[-1])
        if answer is None:
            handler.close_connection = True
            return
        status, content, headers = answer
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(sent)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(sent)

    def asked(self):
        """Name the requests so far."""
        return [f"{request.method} {request.path}" for request in self.requests]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Return what opens a world; the clock has to be an argument of the test itself."""
    return lambda clock=None: open_world(tmp_path, monkeypatch, clock)
