"""Matching: how many rows of each batch have a label, whichever is more; and what became of each label."""

import pickle
import random
from pathlib import Path

import pytest

from collector.errors import FilesDamaged, KeysSpoiled
from collector.labels.exchange import Closed, Fates, Waiting
from collector.labels.matching import fates_of, match, wanted_by

from .conftest import KEYING


def ids(numbers):
    return [{"id": number, "label": 1} for number in numbers]


@pytest.mark.parametrize("of_labels", [3, 300])
def test_rows_are_counted_whichever_there_are_more_of_and_over_several_rounds(parts, of_labels):
    chance = random.Random(of_labels)
    events = [chance.randint(0, 60) for _ in range(50)]
    batch = parts.batch(ids(events))
    marks, seen = None, set()
    for turn in range(5):
        came = [chance.randint(0, 90) for _ in range(of_labels)]
        seen |= set(came)
        new = parts.path()
        assert match(parts.labels(ids(came)), [Waiting(batch.keys, marks, new)], KEYING) == [
            sum(event in seen for event in events)
        ], turn
        marks = new


def test_files_of_another_key_are_no_good_and_those_of_labels_are_made_again(parts):
    batch, [label] = parts.batch(ids([1])), parts.labels(ids([1]))
    assert wanted_by(label, [batch.keys], KEYING) == [True]
    Path(label.numbers).write_bytes(b"spoiled")
    assert wanted_by(label, [batch.keys], KEYING) == [True]
    with pytest.raises(KeysSpoiled):
        wanted_by(label, [batch.keys], KEYING._replace(column="label"))


def test_each_label_has_one_fate(parts):
    closed, missed, other = parts.batch(ids([1, 2, 3])), parts.batch(ids([3, 4])), parts.batch(ids([9]))
    Path(f"{parts.batch(ids([2, 3])).keys}.sorted").rename(f"{closed.keys}.disputed")
    [label] = parts.labels(ids([1, 1, 2, 3, 4, 5, 9]))
    in_time = [Closed(closed.keys, KEYING.column, has_disputed=True), Closed(other.keys, KEYING.column)]
    late = [Closed(missed.keys, KEYING.column)]
    assert fates_of(label, in_time, late, KEYING) == Fates(used=3, disputed=2, late=1, unmatched=1)


def test_what_a_worker_raises_comes_out_of_its_process_whole():
    for error in (FilesDamaged(["a", "b"]), KeysSpoiled("a")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
    assert pickle.loads(pickle.dumps(FilesDamaged(["a", "b"]))).paths == ("a", "b")
