"""A few of the newest rows, as the journal has them."""

import json
import sqlite3
from contextlib import closing

import pyarrow as pa
from disks import append

from collector.client.arrow import arrow_body
from collector.formats.frames import Frame, check_frame
from collector.store import tapping
from collector.store.tapping import newest_rows


async def post(journal, *rows, collector="main"):
    await append(journal, collector, check_frame("json", json.dumps(rows).encode()))


def look(path, after, rows=10, collector="main"):
    return newest_rows(str(path.parent), collector, after, rows)


async def test_without_a_number_it_begins_with_what_comes_next(journal, path):
    await post(journal, {"n": 1})
    begun = look(path, None)
    assert begun == {"rows": [], "next": 1}
    await post(journal, {"n": 2}, {"n": 3})
    assert look(path, begun["next"]) == {"rows": [{"n": 2}, {"n": 3}], "next": 2}
    assert look(path, 2) == {"rows": [], "next": 2}


async def test_of_many_the_newest_are_shown_oldest_first(journal, path):
    for number in range(5):
        await post(journal, {"n": 2 * number}, {"n": 2 * number + 1})
    assert [row["n"] for row in look(path, 0, rows=3)["rows"]] == [7, 8, 9]


async def test_rows_of_others_are_not_shown(journal, path):
    await post(journal, {"n": 1}, collector="other")
    await post(journal, {"n": 2})
    assert look(path, 0)["rows"] == [{"n": 2}]
    assert look(path, 0, collector="other")["rows"] == [{"n": 1}]


async def test_values_that_json_has_not_are_shown_as_text_or_null(journal, path):
    table = pa.table({"when": pa.array([0], pa.timestamp("s")), "nan": [float("nan")], "bytes": [b"\xff"]})
    body = arrow_body(table)
    await append(journal, "main", Frame("arrow", body, 1))
    assert look(path, 0)["rows"] == [{"when": "1970-01-01T00:00:00", "nan": None, "bytes": "b'\\xff'"}]


async def test_large_and_damaged_bodies_are_passed_over(journal, path, monkeypatch):
    monkeypatch.setattr(tapping, "MAX_BYTES", 100)
    await post(journal, {"n": "x" * 200})
    await post(journal, {"n": 1})
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE frame SET checksum = checksum + 1 WHERE seq = 2")
    await post(journal, {"n": 2})
    assert look(path, 0)["rows"] == [{"n": 2}]
