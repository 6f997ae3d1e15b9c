"""A journal in a temporary directory, and a disk that is soon full."""

import pytest
from disks import small_disk  # noqa: F401  (a fixture)

from collector.store.journal import open_journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite3"


@pytest.fixture
async def journal(path):
    async with open_journal(path) as opened:
        yield opened
