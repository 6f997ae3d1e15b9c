"""What the fault tests share: how many faults to make, and the figures that are told at the end."""

import math
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from ..conftest import BY_TALLY, collector_config
from .audit import DEFINITION, REPORT, Auditor
from .ledger import Ledger

FIGURES = pytest.StashKey()
LONG_TIMEOUT = 3600  # of a test in the long form, besides the seconds of a soak


@dataclass
class Figures:
    """What the tests of one promise measured, added up."""

    faults: Counter = field(default_factory=Counter)
    rows: Counter = field(default_factory=Counter)
    others: dict = field(default_factory=dict)
    table: list = field(default_factory=list)  # lines of one, told below the others

    def take(self, verdict):
        """Add what an auditor found at the end of a test; it must be sound."""
        assert verdict.is_sound, str(verdict)
        self.rows += Counter(acknowledged=verdict.acknowledged, found=verdict.found)
        self.rows += Counter(lost=verdict.lost.total(), doubled=verdict.doubled.total())

    def __str__(self):
        faults = [f"{count} {name}" for name, count in self.faults.items()]
        rows = [
            f"{self.rows[name]:,} {name}".replace(",", " ") for name in ("acknowledged", "found", "lost", "doubled")
        ]
        others = [f"{name} {value}" for name, value in self.others.items()]
        return ", ".join([*faults, "rows: " + ", ".join(rows), *others])


@pytest.fixture
def figures(request):
    """Return the figures of the promise that the test's module names."""
    return request.config.stash.setdefault(FIGURES, {}).setdefault(request.module.PROMISE, Figures())


def pytest_terminal_summary(terminalreporter, config):
    told = config.stash.get(FIGURES, {})
    if told:
        terminalreporter.section(f"faults, {config.option.faults}, seed {config.option.seed}")
    for promise, figures in sorted(told.items(), key=lambda item: int(re.match(r"\d+", item[0])[0])):
        for line in [f"{promise}: {figures}", *figures.table]:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(config, items):
    if config.option.faults == "long" or config.option.soak:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.timeout(LONG_TIMEOUT + config.option.soak))


@pytest.fixture
def is_long(request):
    return request.config.option.faults == "long"


@pytest.fixture
def make_daemon(make_daemon, is_long):
    """Make daemons; in the short form a tally stands in Evidently's place, unless a test says how one ``evaluates``."""

    def make(*arguments, evaluates=is_long or BY_TALLY, **others):
        return make_daemon(*arguments, evaluates=evaluates, **others)

    return make


@pytest.fixture
def rng(request):
    return random.Random(f"{request.config.option.seed} {request.node.name}")


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def audit(ledger):
    """Judge the ledger by a daemon's data directory and a workspace, by default the directory beside it."""
    auditors = {}

    def judge(daemon, workspace=None):
        where = (daemon.data, workspace or daemon.directory / "workspace")
        return auditors.setdefault(where, Auditor(*where)).judge(ledger)

    return judge


def numbered(trigger, **others):
    """Make the config of a collector whose snapshots name their rows."""
    return collector_config(trigger, REPORT, data_definition=DEFINITION) | others


def is_all_delivered(status):
    """Tell whether nothing is on its way, of one that has counted what there is since it was started."""
    return status["state"] != "starting" and (status["rows_waiting"], status["sealed"], status["outbox"]) == (0, 0, 0)


def has_less_left(status, left):
    """Tell whether less batches are on their way, or none."""
    return is_all_delivered(status) or (status["state"] != "starting" and status["sealed"] + status["outbox"] < left)


def wait_for_delivery(daemon, collectors):
    """Return once all rows of these collectors are in snapshots: of thousands of batches, each must come in time."""
    for name in collectors:
        daemon.client.flush(name)
    for name in collectors:
        status, left = {}, math.inf
        while not status or not is_all_delivered(status):
            status = daemon.wait_for_status(name, partial(has_less_left, left=left))
            left = status["sealed"] + status["outbox"]


def percentile(seconds, percent):
    """Return the value that so many percent of the others are at most."""
    return sorted(seconds)[max(0, math.ceil(len(seconds) * percent / 100) - 1)]
