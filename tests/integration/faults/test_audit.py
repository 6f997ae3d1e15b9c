"""The auditor finds what is amiss: else all that it proves is nothing."""

import contextlib
import json
import sqlite3

import pyarrow.parquet as pq
import pytest

from .audit import Auditor
from .ledger import Ledger, arrow_body, json_body, table

TABLES = """
CREATE TABLE frame(seq INTEGER PRIMARY KEY, collector, batch, format, body);
CREATE TABLE moved(collector, batch, first_seq, last_seq);
CREATE TABLE part(collector, batch, path);
CREATE TABLE batch(id, state);
"""


@pytest.fixture
def world(tmp_path):
    """Return a data directory with a POST of two rows in the open batch, one in a failed, one in a delivered batch."""
    ledger = Ledger()
    keys = [ledger.begin("main", 2) for _ in range(3)]
    for key in keys:
        ledger.answer(key, 201)
    (tmp_path / "parts").mkdir()
    execute(tmp_path, "INSERT INTO frame VALUES (NULL, 'main', NULL, 'json', ?)", json_body(keys[0][1], 2)[0])
    for state, key in [("failed", keys[1]), ("delivered", keys[2])]:
        path = f"parts/{state}.parquet"
        execute(tmp_path, "INSERT INTO batch VALUES (?, ?)", state, state)
        execute(tmp_path, "INSERT INTO part VALUES ('main', ?, ?)", state, path)
        pq.write_table(table(key[1], 2), tmp_path / path)
    write_snapshot(tmp_path, "delivered", {keys[2][1]: 2})
    return tmp_path, ledger, keys


def execute(directory, statement, *values):
    path = directory / "journal.sqlite3"
    is_new = not path.exists()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        if is_new:
            db.executescript(TABLES)
        db.execute(statement, values)


def write_snapshot(directory, batch, counts, name="one"):
    folder = directory / "workspace" / "project" / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    result = {"counts": {label: {"value": rows} for label, rows in counts.items()}}
    metadata = {"collector": "main", "batch_id": batch}
    (folder / f"{name}.json").write_text(json.dumps({"metadata": metadata, "metric_results": {"id": result}}))


def judge(world):
    directory, ledger, _ = world
    return Auditor(directory, directory / "workspace").judge(ledger)


def test_it_finds_each_row_where_it_is(world):
    verdict = judge(world)
    assert verdict.is_sound
    assert dict(verdict.stages) == {"open": 2, "sealed": 0, "evaluated": 0, "failed": 2, "delivered": 2}
    assert (verdict.acknowledged, verdict.found) == (6, 6)


def test_a_body_in_a_file_is_looked_for_there(world):
    directory, _, keys = world
    (directory / "bodies").mkdir()
    body = json_body(keys[0][1], 2)[0]
    (directory / "bodies" / "1.json").write_bytes(b"before" + body + b"behind")
    execute(directory, f"UPDATE frame SET body = '1.json:6:{len(body)}'")
    assert judge(world).is_sound


def test_a_row_that_is_gone_is_lost(world):
    directory, ledger, keys = world
    ledger.answer(ledger.begin("main", 3), 201)
    (directory / "workspace" / "project" / "snapshots" / "one.json").unlink()
    verdict = judge(world)
    assert not verdict.is_sound
    assert verdict.lost == {keys[2]: 2, ("main", "n3"): 3}


def test_a_row_in_two_places_or_twice_in_one_is_doubled(world):
    directory, _, keys = world
    write_snapshot(directory, "another", {keys[2][1]: 2, keys[0][1]: 1}, "two")
    assert judge(world).doubled == {keys[2]: 2, keys[0]: 1}


def test_rows_never_sent_or_refused_or_of_another_collector_are_invented(world):
    directory, ledger, keys = world
    refused, torn, whole = (ledger.begin("main", 4) for _ in range(3))
    ledger.answer(refused, 507)
    write_snapshot(directory, "another", {"n99": 1, refused[1]: 4, torn[1]: 3, whole[1]: 4}, "two")
    ledger.sent["other", "n0"] = ledger.sent.pop(keys[0])
    ledger.acknowledged.remove(keys[0])
    verdict = judge(world)
    assert verdict.invented == {("main", "n99"): 1, refused: 4, torn: 3, keys[0]: 2}
    assert verdict.unanswered == 7  # of POSTs whose answer was lost: kept is right, half-kept isn't


def test_a_batch_that_has_arrived_but_is_not_marked_counts_once(world):
    directory, _, keys = world
    write_snapshot(directory, "failed", {keys[1][1]: 2}, "two")
    verdict = judge(world)
    assert verdict.is_sound
    assert verdict.stages["failed"] == 0


def test_it_reads_arrow_as_well(world):
    directory, ledger, _ = world
    key = ledger.begin("main", 2)
    ledger.answer(key, 201)
    execute(directory, "INSERT INTO frame VALUES (NULL, 'main', NULL, 'arrow', ?)", arrow_body(key[1], 2)[0])
    assert judge(world).is_sound


def test_a_post_that_a_follower_lacks_is_torn_apart_though_nobody_was_answered(world):
    directory, ledger, _ = world
    ledger.followers["main"] = ("follower",)
    key = ledger.begin("main", 2)
    body = json_body(key[1], 2)[0]
    execute(directory, "INSERT INTO frame VALUES (NULL, 'main', NULL, 'json', ?)", body)
    assert judge(world).torn_apart[key] == 2
    execute(directory, "INSERT INTO frame VALUES (NULL, 'follower', NULL, 'json', ?)", body)
    assert key not in judge(world).torn_apart
