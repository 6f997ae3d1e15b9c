"""The journal's tables in memory."""

import sqlite3

import pytest

from collector.store.schema import upgrade


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    upgrade(connection)
    yield connection
    connection.close()
