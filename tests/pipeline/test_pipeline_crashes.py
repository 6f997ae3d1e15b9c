"""A pipeline is cut off at every step; another goes on from what is on disk, and each row is delivered once."""

import random
from types import SimpleNamespace

import pytest
import trio
from worlds import collector, open_world, report_raised, rows_trigger, running, settled, worker_died

from collector.config import CollectorServiceConfig, Retention
from collector.errors import SnapshotTooLarge
from collector.pipeline.evaluating import MAX_ATTEMPTS

CONFIG = collector(trigger=rows_trigger(4))
# Three posts of six rows in all: two rows are spilled, four make a batch due, and two are left for a flush.
SERVICE = CollectorServiceConfig(spill_rows=2, retention=Retention(batches=0))
POSTS = (2, 2, 2)
ROWS = list(range(sum(POSTS)))
# The short form tries one step of so many, other ones at each run; the long form tries them all.
STRIDE = 6
# More steps than any of the runs here takes.
ENOUGH = 1000


class Crash(BaseException):
    """The process dies here."""


class Fuse:
    """Burns down by one at each step; once it is burnt, every step crashes, as in a process that is gone."""

    def __init__(self, steps):
        self.steps = steps
        self.is_burnt = False

    def burn(self):
        self.steps -= 1
        if self.steps < 0:
            self.is_burnt = True
            raise Crash


class Fused:
    """Stands before an object and burns a fuse before and after each call that does something."""

    WITHOUT = frozenset(
        {"starting_time", "waiting", "wait_for_rows", "wait_for_spill", "rows", "reports", "slow_reports", "labels"}
    )

    def __init__(self, target, fuse):
        self._target = target
        self._fuse = fuse

    def __getattr__(self, name):
        attribute = getattr(self._target, name)
        if name in self.WITHOUT:
            return attribute
        if name in {"references", "halves"}:
            return Fused(attribute, self._fuse)

        async def call(*args, **kwargs):
            self._fuse.burn()
            result = await attribute(*args, **kwargs)
            self._fuse.burn()
            return result

        return call


class CancelAfter(trio.abc.Instrument):
    """Cancels a scope after so many steps of a pipeline's tasks: a stop at any await."""

    def __init__(self, steps, scope):
        self._steps = steps
        self._scope = scope

    def after_task_step(self, task):
        if task.name.startswith("collector.pipeline."):
            self._steps -= 1
            if self._steps < 0:
                self._scope.cancel()


async def send_all(world, pipeline):
    for rows in POSTS:
        await world.post(rows)
        await settled()
    await pipeline.flush()
    await settled()


async def recover(world):
    """Do what the daemon does at its start, send what wasn't yet, and work until all is done."""
    world.data_dir.remove_orphans(*await world.journal.known_files())
    pipeline = world.pipeline(CONFIG, SERVICE)
    async with running(pipeline):
        while world.count < len(ROWS):
            await world.post(2)
        await settled()
        await pipeline.flush()
        await settled()
        await pipeline.retry()
        await settled()


async def assert_all_is_well(world):
    """Each row is in one snapshot, each batch delivered once, and nothing is left lying about."""
    assert sorted(row for rows in world.workspace.rows for row in rows) == ROWS
    batches = await world.journal.batches("main", "sealed", "evaluated", "failed", "delivered")
    assert sorted(id_ for id_, _ in world.workspace.taken) == [batch.id for batch in batches]
    assert {batch.state for batch in batches} == {"delivered"}
    for folder in ("parts", "snapshots", "failed"):
        assert list((world.data_dir.path / folder).iterdir()) == []


async def crash_at(path, steps, prepare):
    """Work until a crash after so many steps, then recover; True if there were so many steps."""
    path.mkdir()
    fuse = Fuse(steps)
    async with open_world(path) as world:
        prepare(world)
        fused = {name: Fused(getattr(world, name), fuse) for name in ("journal", "workers")}
        fused["workspaces"] = SimpleNamespace(open_workspace=lambda _: Fused(world.workspace, fuse))
        pipeline = world.pipeline(CONFIG, SERVICE, **fused)
        try:
            async with running(pipeline):
                await send_all(world, pipeline)
        except* Crash:
            pass
        await recover(world)
        await assert_all_is_well(world)
    return fuse.is_burnt


async def cancel_at(path, steps, prepare):
    """Work until it is stopped after so many steps, then recover; True if there were so many steps."""
    path.mkdir()
    async with open_world(path) as world:
        prepare(world)
        pipeline = world.pipeline(CONFIG, SERVICE)
        with trio.CancelScope() as scope:
            instrument = CancelAfter(steps, scope)
            trio.lowlevel.add_instrument(instrument)
            async with running(pipeline):
                await send_all(world, pipeline)
        trio.lowlevel.remove_instrument(instrument)
        await recover(world)
        await assert_all_is_well(world)
    return scope.cancelled_caught


def nothing(world):
    """Let all go well."""


def a_report_raises(world):
    world.workers.failures = [report_raised()]


def workers_die(world):
    world.workers.failures = [worker_died() for _ in range(MAX_ATTEMPTS)]


def a_snapshot_is_too_large(world):
    world.workspace.failures = [SnapshotTooLarge("413")]


@pytest.mark.parametrize("prepare", [nothing, a_report_raises, workers_die, a_snapshot_is_too_large])
@pytest.mark.parametrize("cut", [crash_at, cancel_at])
async def test_each_row_is_delivered_once_wherever_the_pipeline_is_cut_off(tmp_path, cut, prepare, pytestconfig):
    stride = 1 if pytestconfig.option.faults == "long" else STRIDE
    steps = random.Random(pytestconfig.option.seed).randrange(stride)
    while await cut(tmp_path / str(steps), steps, prepare):
        steps += stride
        assert steps < ENOUGH
    # Two batches with a part each: at least ten calls each for writing, evaluating and delivering.
    assert steps > 20
