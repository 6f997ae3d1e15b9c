"""A service of a group in this process: real consumers and a real journal; workers and workspace aren't real."""

from contextlib import asynccontextmanager
from dataclasses import replace

import trio
from machine import PATIENCE
from worlds import collector, open_world, rows_trigger

from collector.config import CollectorServiceConfig, Limits
from collector.pipeline.pipeline import Pipeline
from collector.sources.group import Group
from collector.supervision.bulkhead import Bulkhead


class Member:
    """One such service, and its pipelines by the ids of their collectors."""

    def __init__(self, world, kafka, nursery, workspace=None):
        self.world = world
        self.group = Group(kafka, Limits)
        self.workspace = workspace or world.workspace
        self.pipelines = {}
        self.nursery = nursery
        nursery.start_soon(Bulkhead(self.group, world.journal).run)

    def start(self, topic, trigger=None, id_="main", **kafka):
        config = collector(id_, trigger or rows_trigger(10), kafka={"topics": [topic]} | kafka)
        tools = replace(self.world.tools, workspaces=self.workspace, sources=self.group)
        self.pipelines[id_] = Pipeline(config, CollectorServiceConfig(), tools)
        self.nursery.start_soon(self.pipelines[id_].run)


@asynccontextmanager
async def member(path, kafka, topic=None, workspace=None, **collector):
    async with open_world(path) as world, trio.open_nursery() as nursery:
        its = Member(world, kafka, nursery, workspace)
        if topic is not None:
            its.start(topic, **collector)
        yield its
        nursery.cancel_scope.cancel()


async def until(check):
    with trio.fail_after(PATIENCE):
        while not check():  # noqa: ASYNC110  (of what librdkafka and brokers do)
            await trio.sleep(0.02)


def numbers(workspace):
    return sorted(number for rows in workspace.rows for number in rows)
