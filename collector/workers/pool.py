"""Worker processes: a few that know Evidently, a light one that writes parts, and prompt ones that check bodies."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
from collections import Counter, defaultdict
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
import trio
import trio_parallel

from collector.config.labels import LABELS
from collector.disk.refusals import is_of_files, refusal
from collector.errors import (
    BadBody,
    EvaluationError,
    FilesDamaged,
    NoRowsMatched,
    OutOfFiles,
    Problem,
    StorageError,
    WorkerDied,
)
from collector.store.parts import UNWRITABLE
from collector.store.records import Part
from collector.waiting.grace import let_end
from collector.workers.environment import names_of_secrets, names_of_service
from collector.workers.process import call, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Sequence

    from collector.config import CollectorConfig
    from collector.dashboard import Tab
    from collector.formats.bounds import Bounds, Counted
    from collector.formats.frames import Format, Frame
    from collector.formats.private import Private
    from collector.formats.stored import StoredBody
    from collector.generation import Generation
    from collector.labels.exchange import BatchFiles, Closed, Fates, Indexed, Joined, Keying, LabelFile, Waiting, Wanted
    from collector.store.fetching import Fetched
    from collector.store.parts import Written
    from collector.store.records import Run
    from collector.store.tapping import Tapped
    from collector.store.windowed import Windows
    from collector.workers import exchange
    from collector.workers.exchange import (
        Damage,
        Delivery,
        Failure,
        FalseAlarms,
        Job,
        NewProject,
        NoRowsMatch,
        Outcome,
        Place,
        Rehearsal,
    )

_log = structlog.get_logger()

CHECK_TIMEOUT = 60.0
# Seconds for a check to end by itself if its collector is deleted or its client hangs up; most take a tenth of that.
CHECK_GRACE = 1.0
# Seconds for a new process to load Evidently: mostly 4 to 13, more if several do so on a busy machine.
START_TIMEOUT = 60.0
# With too few processors, loading takes minutes. If the deadline of a call cut it off, the next call would begin it
# anew.
LOADING_TIMEOUT = 600.0
# Seconds for a part or a body, some 20 times the usual. A process that takes longer may have been stopped from outside,
# so another one tries once more.
PART_TIMEOUT = 60.0
BODY_TIMEOUT = 10.0
TAB_TIMEOUT = 10.0
# Seconds to fetch a reference: 1 GB from afar takes a minute.
FETCH_TIMEOUT = 300.0
BODY_BYTES_PER_SECOND = 1_000_000
_TRIES = 2
_GRACE_PERIOD = 0.05
# Why the next call may have to start a process.
ENDS = ("died", "cut_off")
# For processes whose work no request waits for: if processors are short, events come first.
NICENESS = 10
# For processes whose work nobody waits for. They hold 300 MB, so they end when they have had nothing to do for a while.
LEAST = 19
IDLE_TIMEOUT = 10.0
# The process that matches and joins labels loads little, and is needed every few seconds, or seldom.
LABELS_IDLE_TIMEOUT = 60.0
_EVALUATION = "collector.evaluation.worker:"
_PARTS = "collector.store.parts:"
_FETCHING = "collector.store.fetching:"
_DASHBOARD = "collector.evaluation.dashboard:"
_DIRECTORY = "collector.workspaces.directory_files:"
_CHECK_BODY = "collector.formats.frames:check_body"
_WITHOUT_PRIVATE = "collector.formats.private:without_private"
_NEWEST_ROWS = "collector.store.tapping:newest_rows"


class Workers:
    """Calls into worker processes; see open_workers.

    Cancelling a call kills its process; the next call gets a new one. A process that dies raises EvaluationError.
    Who calls ``evaluate`` holds ``reports`` meanwhile, so that waiting for it and computing can be timed apart; one
    that took too long the last time holds ``slow_reports``, so that a few of those don't take all from the rest.
    Reports of the past hold ``backfills`` too: they go one at a time, whosever they are.
    """

    def __init__(  # noqa: PLR0913  (one of each kind)
        self,
        heavy: trio_parallel.WorkerContext,
        posted: trio_parallel.WorkerContext,
        light: trio_parallel.WorkerContext,
        prompt: trio_parallel.WorkerContext,
        aside: trio_parallel.WorkerContext,
        labels: trio_parallel.WorkerContext,
        count: int,
    ) -> None:
        self._heavy = heavy
        self._posted = posted  # computes the reports that clients posted
        self._light = light
        self._prompt = prompt
        self._aside = aside  # does what batches must not wait for
        self._labels = labels  # takes long with large batches, for which spilling must not wait
        self.reports = trio.CapacityLimiter(count)
        self.slow_reports = trio.CapacityLimiter(1)
        self.backfills = trio.CapacityLimiter(1)
        self.rehearsals = trio.CapacityLimiter(1)
        self._unlimited = trio.CapacityLimiter(math.inf)
        self._quick = trio.CapacityLimiter(1)  # a check must not wait for reports
        self._parts = trio.CapacityLimiter(2)  # if one collector's parts take long, the second place is for the others
        self._bodies = trio.CapacityLimiter(2)
        self._looks = trio.CapacityLimiter(1)
        self._writes = trio.CapacityLimiter(1)
        self._joins = trio.CapacityLimiter(1)
        self._references = trio.CapacityLimiter(2)
        # By address: one that doesn't answer must not hold up the others.
        self._stores: defaultdict[str, trio.CapacityLimiter] = defaultdict(lambda: trio.CapacityLimiter(1))
        self._directories: defaultdict[str, trio.CapacityLimiter] = defaultdict(lambda: trio.CapacityLimiter(1))
        self.evidently_version = ""
        self.ended = Counter(dict.fromkeys(ENDS, 0))  # how often the next call has to start a process, by reason

    @property
    def starting_time(self) -> float:
        """Seconds that a call may take longer than it would, as it needs a new process."""
        return _starting_time(self._heavy)

    @property
    def posted_starting_time(self) -> float:
        """The same of a report that a client has posted."""
        return _starting_time(self._posted)

    @property
    def rehearsal_starting_time(self) -> float:
        """The same of a rehearsal aside."""
        return _starting_time(self._aside)

    async def warm_up(self) -> None:
        """Have a process that checks bodies and one that evaluates import what they need; Evidently takes 6 to 13 s.

        The one that writes parts loads beside it once there is a part to write: nobody waits for that.
        """
        await self._run(self._prompt, self._bodies, _PARTS + "warm_up")
        versions = await self._run(self._heavy, self._quick, _EVALUATION + "warm_up")
        self.evidently_version = versions["evidently"]

    async def warm_up_second(self) -> None:
        """Have a second process load Evidently if there may be two: the next report that finds the first busy has it.

        It takes the place of a report meanwhile, so that none begins a third.
        """
        if self.reports.total_tokens < 2:
            return
        async with self.reports, trio.open_nursery() as nursery:
            there = self._heavy.statistics()
            if there.idle_workers + there.running_workers < 2:
                for _ in range(there.idle_workers + 1):  # idle ones answer at once, so that one more is started
                    nursery.start_soon(self._warm_up_one)

    async def _warm_up_one(self) -> None:
        with suppress(EvaluationError, OutOfFiles):  # the report that needs it will say so
            await self._run(self._heavy, self._unlimited, _EVALUATION + "warm_up")

    async def check(self, config: CollectorConfig) -> list[Problem]:
        """Return what Evidently would not accept in a collector's report, and in that of its labels."""
        problems = await self._check_report(config)
        if config.labels is not None:
            found = await self._check_report(config.for_report(LABELS))
            problems += [one.under(LABELS) for one in found if one.path[:1] != ("column_mapping",)]
        return problems

    async def _check_report(self, config: CollectorConfig) -> list[Problem]:
        args = (config.report_config.model_dump(), config.data_definition, config.column_mapping)
        return _problems(await self._check("check", *args))

    async def check_table(self, path: Path, field: tuple[str, ...]) -> list[Problem]:
        """Return what is wrong with the parquet file that a config's ``field`` names: the reference, for one."""
        return [replace(one, path=field) for one in _problems(await self._check("check_reference", str(path)))]

    async def check_rows(
        self, config: CollectorConfig, reference: Path, private: Private | None = None
    ) -> list[Problem]:
        """Return what is wrong with a collector's ``where`` and ``segments``, by its reference, which is sound."""
        return _problems(await self._check("check_rows", str(reference), *config.rows_wanted, private))

    async def generations_in(self, directory: Path) -> set[Generation]:
        """Return the generations whose snapshots lie in a workspace directory.

        Raises EvaluationError if it can't be looked at in time, as on a dead mount.
        """
        look, limiter = _DIRECTORY + "generations_in", self._directories[str(directory)]
        try:
            with trio.fail_after(CHECK_TIMEOUT):
                found: set[Generation] = await self._run(self._light, limiter, look, directory)
        except trio.TooSlowError as error:
            raise EvaluationError(f"{directory} can't be looked at in {CHECK_TIMEOUT:g} s") from error
        return found

    async def rehearse(self, job: Job, *, is_aside: bool) -> Rehearsal:
        """Evaluate a job's reference as if it were its batch; return what can't be computed of it.

        Aside, it takes no process from batches, and no processor that others want. Who calls it holds ``rehearsals``.
        """
        context = self._aside if is_aside else self._context_for(job)
        done: Rehearsal = await self._run(context, self._unlimited, _EVALUATION + "rehearse", job)
        return done

    async def count_false_alarms(self, job: Job, rows: int, draws: int) -> FalseAlarms | None:
        """Return how often a report calls drift where there is none; None if the reference is too small to say."""
        args = (_EVALUATION + "count_false_alarms", job, rows, draws)
        done: FalseAlarms | None = await self._run(self._heavy, self._unlimited, *args)
        return done

    def _context_for(self, job: Job) -> trio_parallel.WorkerContext:
        return self._posted if job.get("is_posted") else self._heavy

    async def evaluate(self, job: Job) -> Outcome:
        """Compute a report and write its snapshot; return what came out, or raise EvaluationError.

        Raises FilesDamaged if parts or the reference can't be read, NoRowsMatched if there is nothing to report,
        StorageError if the snapshot can't be written.
        """
        try:
            result: Outcome | Failure | Damage | NoRowsMatch = await self._run(
                self._context_for(job), self._unlimited, _EVALUATION + "evaluate", job
            )
        except OSError as error:
            raise refusal(error, Path(job["snapshot_path"]).parent) from error
        if result["ok"]:
            return result
        if "damaged" in result:
            raise FilesDamaged(result["damaged"])
        if "rows_without_match" in result:
            raise NoRowsMatched(result["rows_without_match"], result["notes"], result.get("why", ""))
        raise EvaluationError(result["error"], result["traceback"])

    async def write_to_directory(self, delivery: Delivery) -> None:
        """Put a snapshot into a workspace directory; what a new project's file holds is Evidently's to say."""
        write = _DIRECTORY + "write_snapshot"
        async with self._directories[delivery["directory"]]:  # one on a dead mount must not hold up the others
            written: str | NewProject = await self._run(self._light, self._unlimited, write, delivery)
            if not isinstance(written, str):
                file = await self._run(self._heavy, self._unlimited, _EVALUATION + "project_file", written)
                await self._run(self._light, self._unlimited, write, delivery, file)

    async def tab_of(self, snapshot: Path, config: CollectorConfig, about: str, segments: Sequence[str]) -> Tab:
        """Return what a dashboard is to show, by a modern snapshot's file; see evaluation.dashboard."""
        args = (str(snapshot), config.id, config.columns_max, about, segments)
        tab: Tab = await self._run_within(TAB_TIMEOUT, self._light, self._parts, _DASHBOARD + "tab_of", *args)
        return tab

    async def write_dashboard(self, place: Place, tab: Tab, *, is_asked: bool) -> bool:
        """Put a collector's panels into a directory workspace; False if it was left as a person made it."""
        limiter = self._directories[place["directory"]]
        return bool(await self._run(self._light, limiter, _DIRECTORY + "write_dashboard", place, tab, is_asked))

    async def strip_widgets(self, snapshot: Path) -> int:
        """Rewrite a snapshot without its plots; return its checksum, or raise ValueError if it can't do without."""
        return await self._rewrite(snapshot, "strip_widgets")

    async def link_datasets(self, snapshot: Path, ids: dict[str, str]) -> int:
        """Enter the ids of uploaded datasets into a legacy snapshot, by their role; return its checksum."""
        return await self._rewrite(snapshot, "link_datasets", ids)

    async def _rewrite(self, snapshot: Path, name: str, *args: Any) -> int:
        with _refusals(snapshot):
            return int(await self._run(self._heavy, self._writes, _EVALUATION + name, str(snapshot), *args))

    async def write_part(self, directory: Path, run: Run, target: Path, name: str) -> Part:
        """Write a run of frames to a parquet file; return the part, ``name`` being its path in the data ``directory``.

        Frames that are damaged are set aside; if all are, the part has no rows and there is no file. Raises
        TooSlowError if it takes longer than a part may.
        """
        args = (str(directory), run.collector, run.first, run.last, str(target))
        written: Written = await self._write("write_part", target, *args)
        _tell_damaged(run, [written])
        return Part(name, written.rows, written.size)

    async def write_windows(self, directory: Path, run: Run, target: Path, name: str, windows: Windows) -> list[Part]:
        """Write a run of frames to a parquet file for each window of event time, as ``write_part`` does to one."""
        args = (str(directory), (run.collector, run.first, run.last), str(target), windows)
        written: list[Written] = await self._write("write_windows", target, *args)
        _tell_damaged(run, written)
        folder = name.rpartition("/")[0]
        return [Part(f"{folder}/{Path(one.path).name}", one.rows, one.size, one.window, one.late) for one in written]

    async def _write(self, how: str, target: Path, *args: Any) -> Any:
        try:
            with _refusals(target):
                return await self._run_within(PART_TIMEOUT, self._light, self._parts, _PARTS + how, *args)
        except UNWRITABLE as error:
            raise EvaluationError(f"rows can't be written to parquet: {error}", repr(error)) from error

    async def newest_rows(self, data_dir: Path, collector: str, after: int | None, rows: int) -> Tapped:
        """Return the newest rows of a collector; see tapping. Raises EvaluationError if they can't be had just now."""
        args = (_NEWEST_ROWS, str(data_dir), collector, after, rows)
        try:
            found: Tapped = await self._run_within(BODY_TIMEOUT, self._prompt, self._looks, *args)
        except (trio.TooSlowError, StorageError) as error:
            raise EvaluationError("the events can't be looked at just now; try again in a moment") from error
        return found

    async def check_body(self, format_: Format, body: bytes | StoredBody, bounds: Bounds) -> Counted:
        """Check a body, or one that is in a file: count its rows, and name its columns.

        Raises BadBody, also for one by which the process ends, or BodyTooLarge.
        """
        counted: Counted = await self._read_body(_CHECK_BODY, format_, body, bounds)
        return counted

    async def without_private(
        self, format_: Format, body: bytes, private: Private, bounds: Bounds
    ) -> tuple[Format, bytes]:
        """Return a body in which private columns are dropped or hashed, and its format; raise as check_body does."""
        made: tuple[Format, bytes] = await self._read_body(_WITHOUT_PRIVATE, format_, body, private, bounds)
        return made

    async def _read_body(self, name: str, format_: Format, body: bytes | StoredBody, *args: Any) -> Any:
        seconds = BODY_TIMEOUT + len(body) / BODY_BYTES_PER_SECOND
        try:
            return await self._try_body(seconds, name, format_, body, *args)
        except WorkerDied:  # somebody may have killed it
            try:
                return await self._try_body(seconds, name, format_, body, *args)
            except WorkerDied as error:
                raise BadBody(f"the body can't be read as {format_}: the process that reads it crashes") from error

    async def _try_body(self, seconds: float, *args: Any) -> Any:
        try:
            return await self._run_within(seconds, self._prompt, self._bodies, *args)
        except trio.TooSlowError as error:
            raise EvaluationError(
                f"the body could not be checked in {seconds:.0f} s; nothing was kept, try again"
            ) from error

    async def write_reference(self, frame: Frame, target: Path) -> None:
        """Write the rows of a frame to a parquet file."""
        args = (frame.format, frame.body, str(target))
        try:
            with _refusals(target):
                await self._run_within(PART_TIMEOUT, self._light, self._parts, _PARTS + "write_reference", *args)
        except trio.TooSlowError as error:
            raise EvaluationError(f"the reference could not be written in {PART_TIMEOUT:.0f} s; try again") from error

    async def make_reference(self, parts: list[str], rows: int, target: Path, private: Private | None) -> None:
        """Write the first ``rows`` rows of parts to a parquet file. Raises FilesDamaged."""
        args = (_PARTS + "make_reference", parts, rows, str(target), private)
        async with self._references:  # in another process than parts, which must not wait if it takes long
            try:
                with _refusals(target):
                    await self._run(self._light, self._unlimited, *args)
            except UNWRITABLE as error:
                raise EvaluationError(f"the reference can't be made: {error}", repr(error)) from error

    async def fetch_reference(
        self, address: str, data_dir: Path, known: str, private: Private | None
    ) -> Fetched | None:
        """Copy a reference from a store; see fetching. Raises EvaluationError if it can't be had in time."""
        args = (_FETCHING + "fetch", address, str(data_dir), known, private)
        try:
            async with self._stores[address]:
                with _refusals(data_dir / "references"), trio.fail_after(FETCH_TIMEOUT):
                    fetched: Fetched | None = await self._run(self._heavy, self._unlimited, *args)
        except trio.TooSlowError as error:
            raise EvaluationError(f"{address} can't be read in {FETCH_TIMEOUT:g} s") from error
        return fetched

    async def check_address(self, address: str) -> list[Problem]:
        """Return what is wrong with a reference in a store."""
        try:
            with trio.fail_after(CHECK_TIMEOUT):
                await self._run(self._heavy, self._quick, _FETCHING + "count_rows", address)
        except EvaluationError as error:
            return [Problem(("reference_path",), str(error))]
        except trio.TooSlowError:
            return [Problem(("reference_path",), f"{address} can't be read in {CHECK_TIMEOUT:g} s")]
        return []

    async def index_batch(self, parts: list[str], keying: Keying, keys: str) -> Indexed:
        """Write the files of a batch's keys; see labels.indexing. Raises FilesDamaged."""
        done: Indexed = await self._run_for_labels("indexing:index_batch", parts, keying, keys)
        return done

    async def match_labels(self, labels: list[LabelFile], waiting: list[Waiting], keying: Keying) -> list[int]:
        """Return how many rows of each batch have a label; see labels.matching. Raises FilesDamaged, KeysSpoiled."""
        counts: list[int] = await self._run_for_labels("matching:match", labels, waiting, keying)
        return counts

    async def join_labels(
        self, batch: BatchFiles, labels: list[LabelFile], keying: Keying, wanted: Wanted, target: str
    ) -> Joined:
        """Write the rows of a batch that have a label; see labels.joining. Raises FilesDamaged, KeysSpoiled."""
        done: Joined = await self._run_for_labels("joining:join", batch, labels, keying, wanted, target)
        return done

    async def labels_wanted_by(self, label: LabelFile, batches: list[str], keying: Keying) -> list[bool]:
        """Tell which batches have rows for a part of labels. Raises FilesDamaged, KeysSpoiled."""
        found: list[bool] = await self._run_for_labels("matching:wanted_by", label, batches, keying)
        return found

    async def fates_of(self, label: LabelFile, in_time: list[Closed], late: list[Closed], keying: Keying) -> Fates:
        """Tell what became of a part of labels. Raises FilesDamaged, KeysSpoiled."""
        found: Fates = await self._run_for_labels("matching:fates_of", label, in_time, late, keying)
        return found

    async def _run_for_labels(self, name: str, *args: Any) -> Any:
        async with self._joins:
            try:
                return await self._run(self._labels, self._unlimited, f"collector.labels.{name}", *args)
            except OSError as error:
                raise EvaluationError(f"a file of labels can't be read or written: {error}") from error
            except UNWRITABLE as error:
                raise EvaluationError(f"labels can't be matched: {error}", repr(error)) from error

    async def _run_within(
        self, seconds: float, context: trio_parallel.WorkerContext, limiter: trio.CapacityLimiter, name: str, *args: Any
    ) -> Any:
        """Run what can be repeated for ``seconds``, then once more in a new process; raise TooSlowError after that."""
        async with limiter:
            for _ in range(_TRIES):
                await self._load(context, _PARTS)
                with trio.move_on_after(seconds):
                    return await self._run(context, self._unlimited, name, *args)
            raise trio.TooSlowError

    async def _check(self, name: str, *args: Any) -> Any:
        """Run a check, with a time limit: a file on a dead mount must not hold up the checks of others.

        Cancellation: it gets a moment to end by itself, as otherwise the next check would wait for a process that loads
        Evidently.
        """
        async with self._quick:
            await self._load(self._heavy, _EVALUATION)
            run = partial(self._run, self._heavy, self._unlimited, _EVALUATION + name, *args)
            try:
                with trio.fail_after(CHECK_TIMEOUT):
                    return await let_end(CHECK_GRACE, run)
            except trio.TooSlowError as error:
                raise EvaluationError(f"the check took longer than {CHECK_TIMEOUT:g} s") from error

    async def _load(self, context: trio_parallel.WorkerContext, module: str) -> None:
        """Have a process load what it needs, unless one is idle: loading has a time limit of its own."""
        if not context.statistics().idle_workers:
            with trio.move_on_after(LOADING_TIMEOUT):
                await self._run(context, self._unlimited, module + "warm_up")

    async def _run(
        self, context: trio_parallel.WorkerContext, limiter: trio.CapacityLimiter, name: str, *args: Any
    ) -> Any:
        try:
            return await context.run_sync(call, name, *args, kill_on_cancel=True, limiter=limiter)
        except trio.Cancelled:
            self.ended["cut_off"] += 1
            raise
        except trio_parallel.BrokenWorkerError as error:
            self.ended["died"] += 1
            raise WorkerDied(f"the worker process died: {error.__cause__ or error}") from error
        except MemoryError as error:
            raise EvaluationError("the worker process ran out of memory") from error
        except ImportError as error:
            raise EvaluationError(f"the worker process can't load what it needs: {error}") from error
        except OSError as error:
            if is_of_files(error):  # most likely a new process couldn't be started
                raise OutOfFiles(error) from error
            raise


@asynccontextmanager
async def open_workers(count: int, max_bytes: int, shown: Collection[str] = ()) -> AsyncIterator[Workers]:
    """Open workers, at most ``count`` for reports; their processes start at the first call and end with the block.

    A process that takes more than ``max_bytes`` of memory gets a MemoryError. Reports that clients have posted get of
    the environment's secrets those that are ``shown``; where there are no others, they need no processes of their own.
    """
    await trio.to_thread.run_sync(_start_tracker)
    own, secret = names_of_service(os.environ), names_of_secrets(os.environ, shown)
    async with (
        _open_processes(max_bytes, NICENESS, own) as heavy,
        _open_processes(max_bytes, NICENESS, own | secret) as posted,
        _open_processes(max_bytes, NICENESS, own | secret) as light,
        _open_processes(max_bytes, 0, own | secret) as prompt,
        _open_processes(max_bytes, LEAST, own | secret, idle_timeout=IDLE_TIMEOUT) as aside,
        _open_processes(max_bytes, NICENESS, own | secret, idle_timeout=LABELS_IDLE_TIMEOUT) as labels,
    ):
        yield Workers(heavy, posted if secret - own else heavy, light, prompt, aside, labels, count)


def _start_tracker() -> None:
    """Start multiprocessing's resource tracker here, which would otherwise be started with the first process.

    The thread that starts it lets Ctrl-C through again, and so would the process that it starts next.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@asynccontextmanager
async def _open_processes(
    max_bytes: int, niceness: int, hidden: frozenset[str], *, idle_timeout: float = math.inf
) -> AsyncIterator[trio_parallel.WorkerContext]:
    raised: BaseException | None = None
    try:
        async with trio_parallel.open_worker_context(
            idle_timeout=idle_timeout, init=partial(prepare, max_bytes, niceness, hidden), grace_period=_GRACE_PERIOD
        ) as context:
            try:
                yield context
            except BaseException as error:
                raised = error
                raise
    except trio_parallel.BrokenWorkerError as error:
        # Python needs a second to unload Evidently. An idle worker holds nothing, so it is killed instead, which raises
        # this error. It must not hide the error that ended the block.
        _log.debug("killed idle workers", reason=str(error))
        if raised is not None:
            raise raised from None


@contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """Raise what the disk refuses to a worker as the disk's refusal."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise refusal(error, target.parent) from error


def _tell_damaged(run: Run, written: Sequence[Written]) -> None:
    if files := [file for one in written for file in one.damaged]:
        rows = run.rows - sum(one.rows for one in written)
        told = "damaged frames were set aside; all other rows are kept"
        _log.error(told, collector=run.collector, frames=len(files), rows=rows, files=files)


def _starting_time(context: trio_parallel.WorkerContext) -> float:
    return 0.0 if context.statistics().idle_workers else START_TIMEOUT


def _problems(told: list[exchange.Problem]) -> list[Problem]:
    return [Problem(tuple(one["path"]), one["message"], one.get("is_damage", False)) for one in told]
