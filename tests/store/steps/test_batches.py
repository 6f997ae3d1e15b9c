import json

import pytest
from disks import insert_frames

from collector.store.records import Batch, Cut, Part, Run
from collector.store.steps import batches, parts


@pytest.mark.parametrize(
    ("rows", "cut"),
    [
        (1, Cut(2, 1, 2, 2, 1, 100.0, 200.0)),
        (2, Cut(2, 1, 2, 2, 1, 100.0, 200.0)),
        (3, Cut(5, 2, 5, 5, 2, 100.0, 200.0)),
        (9, Cut(9, 3, 9, 9, 3, 100.0, 200.0)),
        (float("inf"), Cut(9, 3, 9, 9, 3, 100.0, 200.0)),
    ],
)
def test_a_cut_tells_what_goes_and_in_which_time_it_came(db, rows, cut):
    insert_frames(db, 2, 3, 4)
    assert batches.seal(db, "main", "b1", rows, 200.0) == cut


def test_a_cut_of_enough_parts_takes_no_frame(db):
    insert_frames(db, 5)
    parts.move_to_part(db, Run("main", 1, 1, 1, 5, 5, 100.0), Part("p", 5, 50))
    insert_frames(db, 1, start=300.0)
    assert batches.seal(db, "main", "b1", 5, 400.0) == Cut(5, 0, 0, 0, 0, 100.0, 400.0)


def test_a_batchs_outcome_is_json(db):
    insert_frames(db, 1)
    batches.seal(db, "main", "b1", 1, 200.0)
    [batch] = batches.select_batches(db, "main", ("sealed",))
    batches.update_batch(db, Batch("b1", "main", "evaluated", 1, 0, 0, outcome={"a": [None, "м"]}))
    [evaluated] = batches.select_batches(db, "main", ("evaluated",))
    assert (batch.outcome, evaluated.outcome) == ({}, {"a": [None, "м"]})
    assert json.loads(db.execute("SELECT outcome FROM batch").fetchone()[0]) == evaluated.outcome
