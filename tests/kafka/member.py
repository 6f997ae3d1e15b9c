"""A service of a group without Evidently: ``python member.py '{"kafka": …}'``; its snapshots have the rows' ids.

``without`` takes away one thing by which no row comes twice, for the tests that must find what that costs: "intents",
"look", "guard", "sweep", "request" (the guard's second counts from the answer) or "thread" (nobody looks in the thread
that commits whether the grant still holds). ``freeze`` has it stop itself at the worst moments, for the driver to wake.
"""

import json
import math
import os
import random
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import pyarrow.parquet as pq
import trio
from worlds import FakeWorkers, collector, either_trigger, open_world, outcome_of

from collector.config import CollectorServiceConfig, Limits
from collector.config.kafka import Kafka
from collector.pipeline.pipeline import Pipeline
from collector.sources import fencing, kafka, ownership
from collector.sources.chain import Chain
from collector.sources.fencing import Fencing
from collector.sources.grants import Grants
from collector.sources.group import Group
from collector.supervision.bulkhead import Bulkhead
from collector.workspaces.workspace import open_workspaces

options = json.loads(sys.argv[1])
without, freeze = set(options.get("without", ())), options.get("freeze", "")
folder = Path(options["folder"])
freezes = iter(range(3))
delivering = set()  # the fences that are asked for a delivery


class Workers(FakeWorkers):
    """Make of a batch a snapshot with the ids of its rows."""

    async def evaluate(self, job):
        await trio.sleep(random.random() * 0.35)
        ids = [n for part in job["parts"] for n in pq.read_table(part)["n"].to_pylist()]
        body = {"metadata": {"collector": job["collector"], "batch_id": job["batch_id"]}, "ids": ids}
        await trio.Path(job["snapshot_path"]).write_text(json.dumps(body), encoding="utf-8")
        return outcome_of(ids, "modern", job["batch_id"])


def take_away():
    """Take away what the options say."""
    if "intents" in without:
        whole = Chain.metadata
        Chain.metadata = lambda chain, number: whole(Chain(chain.base, (), chain.fired, chain.writer), number)
    if "look" in without:
        kafka.FromTopics.is_inherited = lambda *_: False
    if "guard" in without:
        fencing.FENCE_SECONDS = math.inf
    if "thread" in without:
        send = ownership.Ownership._send  # noqa: SLF001  (it is taken apart)

        def unlooked(self, consumer, order):
            holds, self.grants.holds = self.grants.holds, lambda _: True
            try:
                send(self, consumer, order)
            finally:
                self.grants.holds = holds

        ownership.Ownership._send = unlooked  # noqa: SLF001  (as above)
    if "request" in without:
        commit = Fencing.commit

        async def answered(self):
            await commit(self)
            return fencing.boot_time()

        Fencing.commit = answered
    kafka.SWEEP_DELAY = kafka.SWEEP_SECONDS = math.inf if "sweep" in without else 3.0
    kafka.TOUCH_SECONDS = 5.0


def freeze_at(where):
    """Stop this process now and then, for the driver to wake it."""
    if where == freeze and random.random() < 0.25 and next(freezes, None) is not None:
        (folder / "stopped").touch()
        os.kill(os.getpid(), signal.SIGSTOP)


def freeze_sometimes():
    commit, begin, sending = Fencing.commit, Grants.begin_sending, Fencing.sending

    async def frozen_commit(self):
        asked = await commit(self)
        if self in delivering:
            freeze_at("fence")
        return asked

    @asynccontextmanager
    async def followed(self):
        delivering.add(self)
        try:
            async with sending(self):
                delivering.discard(self)
                yield
        finally:
            delivering.discard(self)

    def frozen_begin(self, grant):
        freeze_at("before")
        begin(self, grant)

    Fencing.commit, Fencing.sending, Grants.begin_sending = frozen_commit, followed, frozen_begin


async def main():
    freeze_sometimes()
    take_away()  # of what may be frozen: else a moment "from the answer" would be one before the freeze
    config = Kafka.parse(options["kafka"])
    async with open_world(folder) as world, trio.open_nursery() as nursery:
        world.workers = Workers()
        group = Group(config, Limits)
        nursery.start_soon(Bulkhead(group, world.journal).run)
        async with open_workspaces(world.workers, folder) as workspaces:
            tools = replace(world.tools, workspaces=workspaces, sources=group)
            for topic in options["topics"]:
                wanted = collector(
                    topic,
                    either_trigger(300, 2),
                    kafka={"topics": [topic]},
                    project_name=topic,
                    api_url=options["workspace"],
                    dashboard=False,
                )
                pipeline = Pipeline(wanted, CollectorServiceConfig(evaluation_timeout=60), tools)
                nursery.start_soon(Bulkhead(pipeline, world.journal).run)
            await trio.sleep_forever()


folder.mkdir(parents=True, exist_ok=True)
trio.run(main)
