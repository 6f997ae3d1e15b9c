"""The journal's tables in memory."""

import sqlite3

import pytest

from collector.store.schema import STEPS


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript("".join(STEPS))
    yield connection
    connection.close()
