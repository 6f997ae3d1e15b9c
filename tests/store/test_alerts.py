"""Who listens to the journal hears of each change of a batch in the transaction that makes it."""

import sqlite3

import pytest
from disks import append

from collector.errors import StorageError
from collector.formats.frames import Frame
from collector.store.records import AlertState
from collector.store.steps.alerts import put_state


class Listener:
    """Notes what it hears, and writes a state of it, or fails as a test says."""

    def __init__(self, failure=None):
        self.committed = []
        self._failure = failure

    def hear(self, db, before, after, now):
        put_state(db, AlertState("rule", after.state, since=now))
        if self._failure:
            raise self._failure
        return before.state, after.state

    def heard(self, what):
        self.committed.append(what)


async def sealed(journal):
    await append(journal, "main", Frame("json", b'[{"n": 1}]', 1))
    return await journal.seal("main", "b1")


async def test_changes_are_heard_of_and_told_once_they_are_committed(journal):
    batch, listener = await sealed(journal), Listener()
    journal.listen(listener)
    batch = await journal.mark(batch, "evaluated", outcome={"a": 1})
    await journal.finish(batch)
    assert listener.committed == [("sealed", "evaluated"), ("evaluated", "delivered")]
    assert {state.collector for state in await journal.alerts.read()} == {"delivered", "evaluated"}
    journal.listen(None)
    await journal.mark(batch, "failed")
    assert len(listener.committed) == 2


async def test_what_is_not_committed_was_never_heard(journal):
    batch, listener = await sealed(journal), Listener(sqlite3.OperationalError("disk I/O error"))
    journal.listen(listener)
    with pytest.raises(StorageError):
        await journal.mark(batch, "evaluated")
    assert (await journal.alerts.read(), listener.committed) == ([], [])
    assert [batch.state for batch in await journal.batches("main", "sealed", "evaluated")] == ["sealed"]


async def test_a_batch_that_is_gone_is_not_heard_of(journal):
    batch, listener = await sealed(journal), Listener()
    journal.listen(listener)
    await journal.forget("main")
    await journal.mark(batch, "evaluated")
    assert await journal.alerts.read() == []
