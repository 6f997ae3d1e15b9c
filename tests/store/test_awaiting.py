import stat

import pytest

from collector.store.awaiting import WaitingBatch, waiting_batches, waiting_file, write_waiting
from collector.store.data_dir import open_data_dir

BATCH = WaitingBatch("b1", "main", 4, 1.5, 2.5, None, 9.5, True, 3.5, 60.0, ["b1-0.parquet", "b1-1.parquet"])


@pytest.fixture
def data_dir(tmp_path):
    with open_data_dir(tmp_path) as opened:
        yield opened


def test_what_a_batch_says_is_read_as_it_was_written(data_dir):
    write_waiting(data_dir, BATCH)
    assert list(waiting_batches(data_dir)) == [BATCH]


def test_where_no_batch_waits_there_is_nothing_to_read(data_dir):
    assert list(waiting_batches(data_dir)) == []


@pytest.mark.parametrize(
    "spoiled",
    [b"", b'{"batch": "b1"', b'{"batch": "b1"}', b'{"of_a_later_version": 1}', b"[]", b"\xff"],
    ids=["empty", "cut", "incomplete", "newer", "a list", "no text"],
)
def test_what_is_spoiled_costs_only_itself(data_dir, spoiled):
    write_waiting(data_dir, BATCH)
    (data_dir.path / waiting_file("a0")).write_bytes(spoiled)
    assert list(waiting_batches(data_dir)) == [BATCH]


def test_nobody_else_sees_which_batches_wait(data_dir):
    write_waiting(data_dir, BATCH)
    directory = (data_dir.path / waiting_file(BATCH.batch)).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
