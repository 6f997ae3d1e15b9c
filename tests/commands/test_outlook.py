import pytest

from collector.commands.outlook import outlook, what_goes

COLLECTOR = {"id": "main", "rows_waiting": 0, "rows_needed": None, "next_time": None, "sealed": 0, "snapshots": 3}
FLUSH = "'evidently-collector flush main' makes a batch of them now"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, []),
        ({"rows_waiting": 50, "rows_needed": 200}, ["50 rows wait for 150 more", FLUSH]),
        ({"rows_waiting": 1, "next_time": 1600.0}, ["1 row waits for the next batch, in 10m", FLUSH]),
        ({"rows_waiting": 2, "next_time": 900.0}, ["2 rows wait for a batch that is due", FLUSH]),
        (
            {"rows_waiting": 5, "rows_needed": 9, "next_time": 1060.0},
            ["5 rows wait for 4 more or for the next batch, in 1m", FLUSH],
        ),
        # There were "-200 more" to wait for, while batches were being made.
        ({"rows_waiting": 400, "rows_needed": 200}, ["400 rows are about to become a batch, or several"]),
        ({"sealed": 2}, ["2 batches being evaluated"]),
        (
            {"sealed": 1, "snapshots": 0},
            ["1 batch being evaluated; before the first, Evidently loads for some seconds"],
        ),
    ],
)
def test_what_comes_next_is_said_with_what_to_type(changes, says):
    assert outlook({"time": 1000.0}, COLLECTOR | changes) == says


def test_what_goes_with_a_collector_is_counted():
    counts = {"rows_waiting": 3, "sealed": 1, "outbox": 0, "failed": 2}
    assert what_goes(counts) == "3 waiting rows, 1 sealed batch, 2 failed batches"
