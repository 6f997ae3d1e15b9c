"""Options of the test run, and what it says at its head."""

import gc
import os
import random
import signal
import sys

import hypothesis
import pytest
import structlog
from uis import served

# Hundreds of processes are started here, and to compile Evidently takes 10 s: once is enough.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
gc.disable()  # until all is loaded: it would look through that again and again, and find nothing

# An example takes as long as it takes where other work keeps all processors busy.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("patient")

# By default a traceback is drawn by rich, with all that the frames hold, which takes a second each.
structlog.configure(
    [
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_addoption(parser):
    group = parser.getgroup("faults", "the fault suite, tests/integration/faults")
    group.addoption("--faults", choices=["short", "long"], default="short", help="how many faults are made")
    group.addoption(
        "--soak", type=float, default=0, metavar="SECONDS", help="how long the soak test runs; 0: in its short form"
    )
    group.addoption("--seed", type=int, default=None, help="repeats the random choices of an earlier run")


def pytest_configure(config):
    # What a shell began in the background ignores Ctrl-C, and so would the processes that are begun here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # xdist hands out the files with the fewest tests last, and those are the longest.
    config.option.loadscopereorder = False
    if config.option.seed is None:
        config.option.seed = random.randrange(10**6)


def pytest_collection_modifyitems(items):
    # What starts services first: at the end, when one of two processes has nothing left, the other is at short files.
    items.sort(key=lambda item: not {"kafka", "integration"} & set(item.path.parts))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop():
    gc.freeze()
    gc.enable()


def pytest_report_header(config):
    return f"faults: {config.option.faults}, seed {config.option.seed}"


@pytest.fixture(scope="session")
def modern_ui(tmp_path_factory):
    """Run ``evidently ui`` with a secret, for all tests of a process."""
    with served("ui", tmp_path_factory.mktemp("ui") / "workspace") as ui:
        yield ui


@pytest.fixture(scope="session")
def legacy_ui(tmp_path_factory):
    """Run ``evidently legacy_ui`` with a secret, for all tests of a process."""
    with served("legacy_ui", tmp_path_factory.mktemp("legacy_ui") / "workspace") as ui:
        yield ui
