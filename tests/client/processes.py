"""Programs whose processes share a client or a buffer."""

import os
import subprocess
import sys
from pathlib import Path

from machine import PATIENCE

ROOT = Path(__file__).parents[2]
HEAD = """
import multiprocessing as mp, os, signal, sys, time
from collector.client import AsyncCollectorClient, CollectorClient
"""


def run(path, program, service, *arguments):
    """Run a program, which finds ``URL`` and ``mp``, to its good end; return what it has written to stderr."""
    path.write_text(f"{HEAD}URL = {service.url!r}\n{program}", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    ended = subprocess.run(
        [sys.executable, path, *arguments],
        cwd=path.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stderr
