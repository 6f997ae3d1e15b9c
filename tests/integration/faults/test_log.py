"""Promise 21: who doesn't read the log stops nothing: lines are lost and counted, and told of once there is room."""

import fcntl
import json
import os
import re
import select
import subprocess
import sys

import httpx
import pytest

from ..conftest import (
    BY_TALLY,
    PATIENCE,
    collector_config,
    environment,
    interval_trigger,
    service_config,
    stand_in,
    wait_until,
)

PROMISE = "21 blocked log"


@pytest.fixture
def launch(tmp_path, request):
    """Start a service whose standard error is a small pipe; give its process, its client and the pipe's end."""
    config = service_config({"main": collector_config(interval_trigger(0.1))})
    (tmp_path / "collector_config.json").write_text(json.dumps(config), encoding="utf-8")

    def start(*options):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        request.addfinalizer(lambda: os.close(reading))
        command = [sys.executable, "-m", "collector", "--port", "0", *options]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(**stand_in(BY_TALLY)), stderr=writing)
        os.close(writing)
        request.addfinalizer(lambda: (process.kill(), process.wait()))
        seen = b""
        while not (ready := re.search(rb"http://[\d.:]+", seen)):
            assert select.select([reading], [], [], PATIENCE)[0], f"it isn't ready: {seen}"
            seen += os.read(reading, 2**16)
            assert process.poll() is None, seen
        client = httpx.Client(base_url=ready[0].decode(), timeout=PATIENCE)
        request.addfinalizer(client.close)
        return process, client, reading

    return start


@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("--log-format", "json", "--log-level", "debug"), marks=pytest.mark.slow)],
    ids=["text", "json"],
)
def test_a_pipe_that_nobody_reads_stops_nothing(launch, figures, options):
    """A POST hung for ever, /livez too, and SIGTERM wasn't heard."""
    process, client, reading = launch(*options)
    wait_until(lambda: client.get("/").json()["collectors"][0]["snapshots"] >= 1 or post(client), "a first snapshot")
    wait_until(lambda: post(client) or is_full(reading), "a full pipe")
    for _ in range(20):
        post(client)
        assert client.get("/livez").status_code == 200
    process.terminate()
    assert process.wait(PATIENCE) == 0
    figures.faults["logs that nobody read"] += 1


def post(client):
    assert client.post("/main/data", json=[{"a": 1}]).status_code == 201


def is_full(reading):
    waiting = bytearray(4)
    fcntl.ioctl(reading, 0x541B, waiting)  # FIONREAD
    return int.from_bytes(waiting, sys.byteorder) > 3000
