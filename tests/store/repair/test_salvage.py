import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
import trio
from disks import append
from structlog.testing import capture_logs

from collector.config import Idempotency
from collector.formats.frames import check_frame
from collector.store.awaiting import write_waiting
from collector.store.connect import make_journal
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.store.parts import write, write_part, write_windows
from collector.store.records import AlertState, Batch, Logged, MadeReference, Part, Verdict, labelled_id
from collector.store.repair.salvage import readable_rows, salvage
from collector.store.schema import upgrade
from collector.store.steps import halves, labels
from collector.store.steps.alerts import post as post_message
from collector.store.steps.alerts import put_state
from collector.store.steps.collectors import rename
from collector.store.steps.frames import INSERT_FRAME, frame_row
from collector.store.steps.keys import keep_key, key_hash, key_of, read_secret
from collector.store.steps.positions import keep_fetched
from collector.store.steps.references import enter_made
from collector.store.steps.snapshots import insert_failed, insert_made
from collector.store.windowed import Windows

PAGE = 4096
ALERTS = ("alert", "alert_message")
KEYS = ("secret", "idempotency_slice", "idempotency_key")
TABLES = (
    "frame",
    "part",
    "batch",
    "clock",
    "log",
    "forgotten",
    "open_columns",
    "snapshot",
    "dashboard",
    "reference",
    "whole_batch",
    *ALERTS,
    "renamed",
    "awaited",
    "label_part",
    "label_fate",
    "half",
    "position",
)


@pytest.fixture
def data_dir(tmp_path):
    with open_data_dir(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def old(data_dir):
    """Four rows of ``main``: one in a part and one in a frame of batch b1, and one in each of the open batch."""
    trio.run(fill, data_dir)
    with closing(sqlite3.connect(data_dir.journal, isolation_level=None)) as connection:
        yield connection


async def fill(data_dir):
    async with open_journal(data_dir) as journal:
        for batch in ("b1", None):
            await post(journal, 0 if batch else 2)
            await spill(journal, data_dir)
            await post(journal, 1 if batch else 3)
            if batch:
                await journal.seal("main", batch)


async def post(journal, number):
    await append(journal, "main", check_frame("json", json.dumps({"n": [number]}).encode()))


async def spill(journal, data_dir):
    run = await journal.next_run("main", None, 1, 10**6)
    name = data_dir.new_part()
    written = write_part(str(data_dir.path), "main", run.first, run.last, str(data_dir.path / name))
    assert await journal.spill(run, Part(name, written.rows, written.size))


def salvaged(data_dir, old):
    """Salvage, and give what was done, and the rows of each table."""
    path = data_dir.path / "new"
    with closing(make_journal(path)) as new:
        done = salvage(old, new, data_dir)
        new.commit()
        new.row_factory = sqlite3.Row
        tables = (*TABLES, "numbering", *KEYS)
        return done, {table: [dict(row) for row in new.execute(f"SELECT * FROM {table}")] for table in tables}


def all_of(db, table):
    db.row_factory = sqlite3.Row
    rows = [dict(row) for row in db.execute(f"SELECT * FROM {table}")]
    db.row_factory = None
    return rows


def test_batches_that_wait_have_their_keys_made_anew_and_parts_of_labels_are_known_again(data_dir, old):
    trio.run(spill_labels, data_dir)
    old.execute(
        "INSERT INTO awaited VALUES ('b1', 'main', 2, 1.5, 2.5, 9.5, NULL, NULL, 0, 'id', 'labels/k', 2, 0, 4, 1, 'm')"
    )
    old.execute(
        "INSERT INTO awaited(batch, collector, rows, opened, since, wait) VALUES ('gone', 'main', 2, 1, 2, 9.5)"
    )
    [(part,)] = old.execute("SELECT path FROM label_part").fetchall()
    old.execute("DELETE FROM label_part")
    _, tables = salvaged(data_dir, old)
    [one] = tables["awaited"]
    assert (one["batch"], one["since"], one["keys"], one["matched"], one["marks"]) == ("b1", 2.5, None, 0, None)
    [label_part] = tables["label_part"]
    assert (label_part["path"], label_part["collector"]) == (part, "main/labels")


@pytest.mark.parametrize(
    "lost",
    [["part"], ["awaited"], ["batch"], ["part", "awaited", "batch", "frame"]],
    ids=["part", "wait", "batch", "all"],
)
def test_a_delivered_batch_that_waits_for_labels_is_found_by_what_it_says_itself(data_dir, old, lost):
    old.execute("DELETE FROM frame WHERE batch = 'b1'")
    old.execute("""UPDATE batch SET state = 'delivered', rows = 1, start = 1.5, "end" = 2.5, is_backfill = 1""")
    of_batch = "SELECT id, collector, rows, opened, 5.5, 9.5 FROM batch"
    old.execute(f"INSERT INTO awaited(batch, collector, rows, opened, since, wait) {of_batch}")
    [(path,)] = old.execute("SELECT path FROM part WHERE batch = 'b1'")
    batch, awaited = (all_of(old, table) for table in ("batch", "awaited"))
    wait_for_labels(data_dir, old, [path])
    for table in lost:
        old.execute(f"DELETE FROM {table}")
    _, tables = salvaged(data_dir, old)
    assert tables["awaited"] == awaited
    same = ("id", "collector", "state", "rows", "opened", "sealed", "start", "end", "is_backfill")
    assert [[one[name] for name in same] for one in tables["batch"]] == [[batch[0][name] for name in same]]
    assert [part["path"] for part in tables["part"] if part["batch"] == "b1"] == [path]
    assert (data_dir.path / path).exists()


def wait_for_labels(data_dir, old, paths):
    """Do what is done when a batch that waits is delivered."""
    [(batch,)] = old.execute("SELECT batch FROM awaited")
    write_waiting(data_dir, labels.waiting_batch(old, batch))
    data_dir.mark_delivered(paths)


def test_a_batch_that_has_its_labels_does_not_wait_for_them_again(data_dir, old):
    """The daemon died between the last two things that it does about it."""
    old.execute("DELETE FROM frame WHERE batch = 'b1'")
    old.execute("UPDATE batch SET state = 'delivered'")
    old.execute("INSERT INTO awaited(batch, collector, rows, opened, since, wait) VALUES ('b1', 'main', 2, 1, 2, 9.5)")
    wait_for_labels(data_dir, old, [path for (path,) in old.execute("SELECT path FROM part WHERE batch = 'b1'")])
    old.execute("UPDATE awaited SET cut = 4, closed = 5.5, key = 'id', keys = 'labels/k'")
    _, tables = salvaged(data_dir, old)
    assert [one["cut"] for one in tables["awaited"]] == [4]


@pytest.mark.parametrize("state", ["sealed", "failed"])
def test_rows_with_labels_are_found_by_their_name_and_of_two_joins_those_of_the_last(data_dir, old, state):
    closed = "'b1', 'main', 2, 1.5, 2.5, 9.5, 7, 8.5, 1, 'id', 'labels/b0', 0, 0, 0, 0, NULL"
    old.execute(f"INSERT INTO awaited VALUES ({closed})")
    batch = labelled_id("b1")
    for rows in (2, 3):  # the first join was cut off
        part = f"{data_dir.new_join(batch)}-0.parquet"
        write(pa.table({"n": list(range(rows))}), data_dir.path / part)
    if state == "failed":
        data_dir.failed(batch).mkdir()
        moved = (data_dir.path / part).rename(data_dir.failed(batch) / part.rpartition("/")[2])
        part = moved.relative_to(data_dir.path).as_posix()
    done, tables = salvaged(data_dir, old)
    [made] = [one for one in tables["batch"] if one["id"] == batch]
    assert (made["report"], made["source"], made["rows"], made["state"]) == ("labels", "b1", 3, state)
    assert [part["path"] for part in tables["part"] if part["batch"] == batch] == [part]
    assert done.parts_set_aside == 1


async def spill_labels(data_dir):
    async with open_journal(data_dir) as journal:
        await append(journal, "main/labels", check_frame("json", b'{"id": 1}'))
        run = await journal.next_run("main/labels", None, 1, 10**6)
        name = data_dir.new_part()
        written = write_part(str(data_dir.path), "main/labels", run.first, run.last, str(data_dir.path / name))
        assert await journal.spill(run, Part(name, written.rows, written.size))


def test_of_a_sound_journal_nothing_is_missing(data_dir, old):
    old.execute("INSERT INTO clock VALUES ('main', 100.0)")
    old.execute("INSERT INTO log(collector, entry) VALUES ('main', '{\"a\": 1}')")
    keep_key(old, "main", key_of(read_secret(old), "key", "d1"), Idempotency(), 100.0)
    old.execute("INSERT INTO forgotten VALUES ('gone')")
    old.execute("INSERT INTO open_columns VALUES ('main', 0, X'0102030405060708')")
    old.execute("INSERT INTO dashboard VALUES ('main', 'workspace project')")
    old.execute("INSERT INTO reference VALUES ('main', 'main', '{}')")
    old.execute("INSERT INTO whole_batch VALUES ('main', X'00ff', 'w1', 1.5, 2.5)")
    old.execute("""UPDATE batch SET report = 'labels', source = 'b0', start = 1.5, "end" = 2.5, is_backfill = 1""")
    old.execute("UPDATE batch SET replaces = 'b7 b8'")
    old.execute(
        "INSERT INTO awaited(batch, collector, rows, opened, since, wait) VALUES ('b1', 'main', 2, 1.5, 2.5, 9.5)"
    )
    closed = "'b0', 'main', 2, 1.5, 2.5, 9.5, 7, 8.5, 1, 'id', 'labels/b0', 0, 0, 0, 0, NULL"
    old.execute(f"INSERT INTO awaited VALUES ({closed})")
    [path] = old.execute("SELECT path FROM part LIMIT 1").fetchone()
    old.execute("INSERT INTO label_part VALUES (?, 'main/labels', 9, 3.5, 0.0)", (path,))
    old.execute("INSERT INTO label_fate VALUES ('main/labels', 'used', 5)")
    insert_made(old, Batch("b1", "main", "sealed", 2, 1.0, 2.0), Verdict(1, 0.5, True, {"a": 1}), 3.0, 9)
    insert_failed(old, Batch("b0", "main", "sealed", 2, 1.0, 2.0), "no", 4.0, 9)
    done, tables = salvaged(data_dir, old)
    for table in (*TABLES, *KEYS):
        assert tables[table] == all_of(old, table)
    assert (done.frames, done.parts, done.rows, done.frames_set_aside) == (2, 2, 4, 0)
    assert tables["numbering"] == [{"last": 4}]


def test_what_was_renamed_is_found_under_its_new_id_though_its_parts_say_the_old_one(data_dir, old):
    rename(old, "main", "other")
    old.execute("DELETE FROM part")
    done, tables = salvaged(data_dir, old)
    assert (done.frames, done.parts, done.rows, done.frames_set_aside, done.parts_set_aside) == (2, 2, 4, 0, 0)
    for table in ("frame", "part", "batch"):
        assert {row["collector"] for row in tables[table]} == {"other"}
    assert tables["renamed"] == [{"old": "main", "new": "other", "last_seq": 4}]


def test_a_snapshot_that_damage_has_made_unfit_is_left_out_and_the_others_stay(data_dir, old):
    for number in range(3):
        insert_made(old, Batch(f"b{number}", "main", "sealed", 2, 1.0, 2.0), Verdict(1, 0.5, True, {}), 3.0, 9)
    old.execute("UPDATE snapshot SET state = 'evaluatfd' WHERE batch = 'b0'")
    old.execute("UPDATE snapshot SET outcome = '{', rows = 'x' WHERE batch = 'b1'")
    _, tables = salvaged(data_dir, old)
    assert [(one["batch"], one["rows"], one["outcome"]) for one in tables["snapshot"]] == [
        ("b1", 0, "{}"),
        ("b2", 2, "{}"),
    ]


def test_a_batch_that_is_lost_is_made_anew_of_its_rows_and_looked_for_before_it_is_sent(data_dir, old):
    old.execute("DELETE FROM batch")
    _, tables = salvaged(data_dir, old)
    [batch] = tables["batch"]
    assert (batch["id"], batch["collector"], batch["state"], batch["rows"]) == ("b1", "main", "sealed", 2)
    assert json.loads(batch["outcome"]) == {"progress": {"is_doubtful": True}}


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("state = 'sealfd'", "sealed"),
        ("state = 'evaluated', outcome = '{'", "sealed"),
        ("state = 'evaluated', outcome = '{\"generation\": \"modern\"}'", "sealed"),  # a frame of it isn't in a part
        ("collector = 'maim'", "sealed"),
        ("rows = 77", "sealed"),
        ("state = 'failed'", "failed"),
    ],
)
def test_a_batch_agrees_with_what_is_there_of_it(data_dir, old, change, state):
    old.execute(f"UPDATE batch SET {change}")
    _, tables = salvaged(data_dir, old)
    [batch] = tables["batch"]
    assert (batch["id"], batch["collector"], batch["state"], batch["rows"]) == ("b1", "main", state, 2)


def test_what_a_changed_byte_led_into_the_batch_of_another_is_open_again(data_dir, old):
    """Nobody would look for it there."""
    old.execute(
        "INSERT INTO batch(id, collector, state, rows, opened, sealed) VALUES ('b2', 'other', 'sealed', 1, 0, 0)"
    )
    frame = check_frame("json", b'{"n": [9]}')
    old.execute(INSERT_FRAME, frame_row("other", frame, 100.0))
    old.execute("UPDATE frame SET batch = 'b2' WHERE collector = 'other' OR batch = 'b1'")
    old.execute("UPDATE part SET batch = 'b2' WHERE batch = 'b1'")
    _, tables = salvaged(data_dir, old)
    assert [(batch["id"], batch["collector"], batch["rows"]) for batch in tables["batch"]] == [("b2", "other", 1)]
    assert [frame["batch"] for frame in tables["frame"]] == [None, None, "b2"]
    assert [part["batch"] for part in tables["part"]] == [None, None]


@pytest.mark.parametrize("sql", ["DELETE FROM part", "UPDATE part SET path = path || 'x'", "UPDATE part SET rows = 99"])
def test_parts_are_known_by_what_they_say_themselves(data_dir, old, sql):
    parts = all_of(old, "part")
    old.execute(sql)
    done, tables = salvaged(data_dir, old)
    assert [(part["path"], part["rows"], part["first_seq"]) for part in tables["part"]] == [
        (part["path"], part["rows"], part["first_seq"]) for part in parts
    ]
    assert done.rows == 4


def test_a_part_whose_frames_are_there_is_set_aside(data_dir, old):
    """It was written and not yet entered."""
    [_, (seq,)] = old.execute("SELECT seq FROM frame ORDER BY seq").fetchall()
    extra = data_dir.new_part()
    write_part(str(data_dir.path), "main", seq, seq, str(data_dir.path / extra))
    done, tables = salvaged(data_dir, old)
    assert (done.parts_set_aside, done.rows_set_aside, done.rows) == (1, 1, 4)
    assert extra not in [part["path"] for part in tables["part"]]
    assert [path.name for path in data_dir.damaged("").iterdir()] == [f"part-{extra.removeprefix('parts/')}"]


def test_delivered_parts_come_again_neither_by_themselves_nor_by_their_frames(data_dir, old):
    paths = [path for (path,) in old.execute("SELECT path FROM part WHERE batch = 'b1'")]
    data_dir.mark_delivered(paths)
    old.execute("DELETE FROM batch")
    _, tables = salvaged(data_dir, old)
    assert [(batch["id"], batch["state"]) for batch in tables["batch"]] == [("b1", "delivered")]
    assert [frame["batch"] for frame in tables["frame"]] == [None]


def test_frames_that_are_damaged_are_set_aside(data_dir, old):
    old.execute("UPDATE frame SET rows = 5 WHERE batch IS NULL")
    done, tables = salvaged(data_dir, old)
    assert ([frame["batch"] for frame in tables["frame"]], done.frames_set_aside) == (["b1"], 1)
    [kept] = data_dir.damaged("").iterdir()
    assert kept.read_bytes() == b'{"n": [3]}'


def test_a_number_is_given_to_no_other_frame_than_its_first(data_dir, old):
    old.execute("UPDATE numbering SET last = 1000")
    assert salvaged(data_dir, old)[1]["numbering"] == [{"last": 1000}]


def test_nor_is_one_that_sqlite_counted_under_an_older_release(data_dir):
    with closing(sqlite3.connect(data_dir.path / "old")) as old:
        upgrade(old, to=19)
        old.execute("INSERT INTO sqlite_sequence(name, seq) VALUES ('frame', 1000)")
        assert salvaged(data_dir, old)[1]["numbering"] == [{"last": 1000}]


def test_where_the_journal_is_gone_no_new_frame_has_a_number_that_a_part_stands_for(data_dir, old):
    [(last,)] = old.execute("SELECT MAX(first_seq) FROM part")
    _, tables = salvaged(data_dir, None)
    assert tables["numbering"] == [{"last": last}]


def test_a_reference_that_the_journal_has_forgotten_is_set_aside_and_told(data_dir, old):
    """It may be of the first rows that ever came, and could not be made again."""
    known, lost = (data_dir.made_reference("first 10", version) for version in ("a", "b"))
    for path in (known, lost):
        (data_dir.path / path).touch()
    enter_made(old, "main", "main", MadeReference(known, "first 10", 10, 1.0, is_kept=True))
    with capture_logs() as told:
        salvaged(data_dir, old)
    kept = data_dir.damaged(f"reference-{lost.removeprefix('references/')}")
    assert kept.exists()
    assert (data_dir.path / known).exists()
    assert [one["file"] for one in told] == [str(kept)]


def test_a_failed_batch_is_known_by_its_folder(data_dir, old):
    [path] = [path for (path,) in old.execute("SELECT path FROM part WHERE batch = 'b1'")]
    data_dir.failed("b1").mkdir()
    (data_dir.path / path).rename(data_dir.failed("b1") / path.removeprefix("parts/"))
    for table in ("frame", "part", "batch"):
        old.execute(f"DELETE FROM {table}")
    _, tables = salvaged(data_dir, old)
    assert [(batch["id"], batch["state"], batch["rows"]) for batch in tables["batch"]] == [("b1", "failed", 1)]
    assert [part["batch"] for part in tables["part"]] == ["b1", None]


def test_a_journal_of_the_first_format_is_read_too(data_dir):
    with closing(sqlite3.connect(":memory:")) as old:
        upgrade(old, 0, 1)
        came = [("main", "a"), ("main", "b"), ("other", "a")]
        old.executemany("INSERT INTO idempotency VALUES (?, ?, 'd1', 1)", came)
        old.execute("INSERT INTO frame VALUES (7, 'main', 'b1', 'json', 1, 11, 100, X'7b7d')")
        old.execute("INSERT INTO batch VALUES ('b1', 'main', 'sealed', 1, 1, 2, 0, '{}', '')")
        done, tables = salvaged(data_dir, old)
    assert (done.frames, done.rows, [batch["state"] for batch in tables["batch"]]) == (1, 1, ["sealed"])
    slices = {slice_["collector"]: slice_["keys"] for slice_ in tables["idempotency_slice"]}
    assert slices == {"main": 2, "other": 1}
    assert {key["slice"] for key in tables["idempotency_key"]} == {1, 2}


def test_idempotency_keys_are_known_by_the_secret_they_came_with(data_dir, old):
    kept, key = Idempotency(), key_of(read_secret(old), "key", "d1")
    keep_key(old, "main", key, kept, 5.0)
    _, tables = salvaged(data_dir, old)
    [row] = tables["idempotency_key"]
    assert (row["hash"], row["digest"], tables["secret"][0]["value"]) == (key.hash, key.digest, read_secret(old))
    assert [(slice_["collector"], slice_["newest"]) for slice_ in tables["idempotency_slice"]] == [("main", 5.0)]


def test_idempotency_keys_without_their_secret_are_left_out(data_dir, old):
    keep_key(old, "main", key_of(read_secret(old), "key", "d1"), Idempotency(), 5.0)
    old.execute("DELETE FROM secret")
    _, tables = salvaged(data_dir, old)
    assert (tables["idempotency_key"], len(tables["secret"])) == ([], 1)


# Walking around what can't be read


def test_alerts_stand_as_they_stood_and_what_is_damaged_of_them_is_left_out(data_dir, old):
    put_state(old, AlertState("rule", "main", is_firing=True, bad=2, batch="b1", since=5.0, said={"summary": "x"}))
    put_state(old, AlertState("rule", "other"))
    post_message(old, "address", '{"version": "4"}', 5.0)
    post_message(old, "address", "{", 6.0)
    before = {table: all_of(old, table) for table in ALERTS}
    old.execute("UPDATE alert SET lasted = 'x' WHERE collector = 'other'")
    _, after = salvaged(data_dir, old)
    assert {table: after[table] for table in ALERTS} == {table: rows[:1] for table, rows in before.items()}


def test_halves_wait_as_they_waited_and_become_the_events_that_they_would_have_become(data_dir, old):
    request = Logged("main", "a", b'{"n":[1]}', 1, ("n",), "pair", is_request=True)
    pair = key_hash(read_secret(old), request.pair)
    halves.keep(old, request, pair)
    halves.keep(old, request, b"damaged")
    old.execute("UPDATE half SET rows = 'x' WHERE pair = ?", (b"damaged",))
    _, tables = salvaged(data_dir, old)
    [half] = tables["half"]
    assert (half["collector"], half["pair"], half["body"]) == ("main", pair, request.body)


def test_it_is_known_whose_events_were_fetched_and_are_read_again(data_dir, old):
    """They would be taken for posted ones, which are kept, and come twice."""
    keep_fetched(old, "main", (), {("t", 0): 5, ("t", 1): 7})
    before = all_of(old, "position")
    _, after = salvaged(data_dir, old)
    assert after["position"] == before


@pytest.fixture
def table(tmp_path):
    """A table of numbered rows, some twenty a page."""
    path = tmp_path / "table"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t(number INTEGER PRIMARY KEY, text)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, "x" * 180) for number in range(1, 2001)])
    return path


def break_pages(path, *numbers):
    body = bytearray(path.read_bytes())
    for number in numbers:
        body[(number - 1) * PAGE : number * PAGE] = b"\xff" * PAGE
    path.write_bytes(body)


@pytest.mark.parametrize("broken", [[], [10], [10, 11, 12], [5, 50, 90], [4, 80]], ids=str)
def test_rows_on_all_sides_of_broken_pages_are_read_once_and_in_stretches(table, broken):
    break_pages(table, *broken)
    with closing(sqlite3.connect(table)) as connection:
        numbers = [number for number, _ in readable_rows(connection, "t", "text")]
    assert len(numbers) == len(set(numbers))
    assert 2000 - 25 * len(broken) <= len(numbers) <= 2000 - 15 * len(broken)


def test_a_table_that_is_gone_has_no_rows(table):
    with closing(sqlite3.connect(table)) as connection:
        assert list(readable_rows(connection, "nowhere", "text")) == []


async def test_parts_that_were_made_together_for_several_windows_are_all_adopted(data_dir):
    """They are of the same frames, and yet none has the rows of another."""
    body = json.dumps({"n": [0, 1, 2], "ts": [0, time.time(), time.time() - 90_000]}).encode()
    async with open_journal(data_dir) as journal:
        await append(journal, "main", check_frame("json", body))
        run = await journal.next_run("main", None, 10, 10**6)
        windows = Windows("ts", 3600, "UTC", time.time() - 100_000)
        target = str(data_dir.path / data_dir.new_part())
        written = write_windows(str(data_dir.path), ("main", run.first, run.last), target, windows)
        made = [Part(f"parts/{Path(one.path).name}", one.rows, one.size, one.window) for one in written]
        assert await journal.spill(run, *made)
    done, tables = salvaged(data_dir, None)
    assert (done.parts, done.rows, done.parts_set_aside) == (2, 3, 0)
    assert [row["window"] for row in tables["part"]] == [one.window for one in written]
