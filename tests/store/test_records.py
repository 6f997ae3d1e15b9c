import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
from disks import append

from collector.formats.frames import Frame
from collector.store.records import STATES, Batch, Cut, Part, Run

RECORDS = [
    Part("parts/a.parquet", 3, 100),
    Batch("b1", "main", "sealed", 3, 1.0, 2.0),
    Batch(
        "b2",
        "main",
        "sealed",
        3,
        1.0,
        2.0,
        report="labels",
        source="b1",
        start=0.0,
        end=0.5,
        is_backfill=True,
        replaces=("b0",),
    ),
    Run("main", 1, 2, 2, 3, 100, 1.0),
    Cut(3, 1, 2, 50, 2, 1.0, 2.0),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_arrives_in_another_process_as_it_was_and_nobody_changes_it(record):
    arrived = pickle.loads(pickle.dumps(record))
    assert arrived == record
    with pytest.raises(FrozenInstanceError):
        arrived.rows = 0


@pytest.mark.parametrize("state", STATES)
async def test_a_batch_comes_back_from_the_journal_as_it_was_marked(journal, state):
    await append(journal, "main", Frame("json", b'{"a": [1]}', 1))
    sealed = await journal.seal("main", "b1")
    told = {"attempts": 2, "outcome": {"rows": 1}, "error": "no such column"}
    marked = await journal.mark(sealed, state, **told)
    assert marked == replace(sealed, state=state, **told)
    assert await journal.batches("main", state) == [marked]


def test_a_batch_has_the_window_of_its_events_or_else_that_of_their_coming():
    batch = Batch("b1", "main", "sealed", 3, 1.0, 2.0)
    assert batch.window == (1.0, 2.0)
    assert replace(batch, start=0.0, end=0.0).window == (0.0, 0.0)
