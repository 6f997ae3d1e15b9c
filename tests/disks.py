"""A journal in a temporary directory, and a disk that is soon full."""

import subprocess

import pytest

from collector.config import Idempotency
from collector.formats.frames import Frame
from collector.store.data_dir import DataDir
from collector.store.journal import open_journal
from collector.store.steps.frames import INSERT_FRAME, frame_row


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs can't be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite3"


@pytest.fixture
async def journal(path):
    async with open_journal(DataDir(path.parent)) as opened:
        yield opened


def order_append(journal, collector, frame, key="", digest="", kept=None, followers=()):
    return journal.order_append(collector, frame, key, digest, kept or Idempotency(), followers)


async def append(journal, *given, **named):
    """Keep a frame, and return whether it is new."""
    return await order_append(journal, *given, **named).wait()


def insert_frames(db, *rows, collector="main", start=100.0):
    """Insert frames of so many rows, a second apart, each with a byte a row."""
    for number, count in enumerate(rows):
        db.execute(INSERT_FRAME, frame_row(collector, Frame("json", bytes(count), count), start + number))
