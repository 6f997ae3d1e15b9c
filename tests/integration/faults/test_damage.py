"""Promise 3: what is sound of a damaged data directory is kept and goes on, what isn't is set aside and said."""

import contextlib
import os
import sqlite3
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ..conftest import NEVER, interval_trigger, rows_trigger, run_collector, service_config, wait_until
from .audit import DEFINITION, Auditor
from .conftest import numbered
from .ledger import NUMBER, Ledger, Load, arrow_body, json_body, post, table

PROMISE = "3 damage"
EX_CONFIG = 78
PAGE = 4096
SPILL_ROWS = 60


def flip(path, rng):
    """Change a few bytes in one of the pages, but not in the first, which says what the file is."""
    content = bytearray(path.read_bytes())
    start = rng.randrange(min(PAGE, len(content) // 2), len(content) - 64)
    content[start : start + 64] = rng.randbytes(64)
    path.write_bytes(content)


def truncate(path, rng):
    with path.open("r+b") as file:
        file.truncate(rng.randrange(path.stat().st_size // 4, path.stat().st_size - 1))


def flip_page(path, rng):
    """Change the first page of a parquet file, which is behind the four bytes that say what it is."""
    content = bytearray(path.read_bytes())
    content[8:24] = rng.randbytes(16)
    path.write_bytes(content)


def overwrite(path, rng):
    path.write_bytes(rng.randbytes(path.stat().st_size))


def set_aside(daemon):
    return sorted(path.name for path in (daemon.data / "damaged").glob("*"))


def take(figures, verdict, daemon, ledger):
    """Add what was found of a damaged directory: nothing twice, nothing altered, and what is gone is set aside.

    But for the newest rows: that a log of writes ends too early can't be seen.
    """
    assert not verdict.doubled, str(verdict)
    assert not verdict.invented, str(verdict)
    assert set_aside(daemon) or are_newest(verdict.lost, ledger), str(verdict)
    figures.faults["damaged files"] += 1
    figures.rows += Counter(acknowledged=verdict.acknowledged, found=verdict.found)
    figures.others["in what was set aside"] = figures.others.get("in what was set aside", 0) + verdict.lost.total()


@pytest.mark.parametrize("name", ["journal.sqlite3", "journal.sqlite3-wal"])
def test_a_daemon_starts_with_what_is_sound_of_a_damaged_journal(
    make_daemon, ledger, audit, figures, rng, name, is_long
):
    """The short form tries one way to damage it; store/repair/test_recovery.py has more, without a daemon."""
    damages = [flip, truncate, overwrite]
    config = service_config({"main": numbered(rows_trigger(NEVER))}, spill_rows=SPILL_ROWS)
    daemon = make_daemon(config, evaluates=False)
    for damage in damages * 5 if is_long else [rng.choice(damages)]:
        daemon.start()
        for number in range(40):
            assert post(daemon.http, ledger, "main", 5, arrow_body if number % 2 else json_body) == 201
        wait_until(lambda: list(daemon.data.glob("parts/*.parquet")), "a part")
        if name == "journal.sqlite3":
            daemon.stop()  # which brings all that is in the WAL to it
        else:
            daemon.kill()
        damage(daemon.data / name, rng)
        daemon.start()
        have_read(daemon, ledger)
        verdict = audit(daemon)
        take(figures, verdict, daemon, ledger)
        forget(ledger, verdict)
        assert post(daemon.http, ledger, "main") == 201
        daemon.stop()
    assert not audit(daemon).lost


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("journal.sqlite3-wal", Path.unlink),
        pytest.param("journal.sqlite3-wal", lambda path: os.truncate(path, 0), marks=pytest.mark.slow),
        pytest.param("journal.sqlite3", lambda path: os.truncate(path, 0), marks=pytest.mark.slow),
    ],
    ids=["log removed", "log cut off", "journal cut off"],
)
def test_a_journal_that_is_changed_under_a_load_is_told_and_what_was_answered_for_is_saved(
    make_daemon, figures, name, fault, is_long
):
    """Each life begins with nothing: rows that the journal's file alone has are gone if it is cut off."""
    config = service_config({"main": numbered(rows_trigger(NEVER))}, spill_rows=SPILL_ROWS)
    for life in range(5 if is_long else 1):
        daemon, ledger = make_daemon(config, directory=f"service{life}", evaluates=False), Ledger()
        change_under_a_load(daemon, ledger, name, fault)
        figures.take(Auditor(daemon.data, daemon.directory / "workspace").judge(ledger))
        figures.faults["journals changed in use"] += 1
        daemon.stop()


def change_under_a_load(daemon, ledger, name, fault):
    """Have a fault happen to a file of the journal while rows come in, see it told, and start again after a kill."""
    daemon.start()
    with Load(daemon.url, ledger, ["main"], clients=0) as load:  # a client would try again for half a minute
        load.wait_for_posts(30)
        fault(daemon.data / name)
        wait_until(lambda: daemon.http.get("/readyz").status_code == 503, "unreadiness")
        load.wait_for_posts(len(load.posts) + 6)  # of each of its two threads, one may have been answered before
        assert {one.status for one in load.posts[-4:]} == {507}
    assert name in daemon.http.get("/readyz?verbose").text
    wait_until(lambda: "a new journal was made of what was sound" in daemon.log, "what is left to be saved")
    daemon.kill()
    daemon.start()


def have_read(daemon, ledger):
    """Have the frames that were there read, and the damaged ones set aside: as many again move them to a part."""
    for _ in range(SPILL_ROWS // 5):
        assert post(daemon.http, ledger, "main", 5) == 201
    wait_until(lambda: rows_in_frames(daemon) < SPILL_ROWS, "a part")


def rows_in_frames(daemon):
    with contextlib.closing(sqlite3.connect(f"file:{daemon.data / 'journal.sqlite3'}?mode=ro", uri=True)) as db:
        return db.execute("SELECT TOTAL(rows) FROM frame").fetchone()[0]


def are_newest(lost, ledger):
    order = list(ledger.sent)[: -SPILL_ROWS // 5]
    return sorted(lost, key=order.index) == order[len(order) - len(lost) :]


def forget(ledger, verdict):
    """Take what the damage took from what is looked for."""
    for key in verdict.lost:
        ledger.acknowledged.remove(key)


def test_damaged_parts_snapshots_and_references_hold_up_nothing_that_is_sound(make_daemon, ledger, audit, figures, rng):
    """A batch with a damaged part goes without it, a torn snapshot is made anew, a damaged reference is waited for."""
    drift = {"metrics": [{"type": "ValueDrift", "column": NUMBER, "method": "psi"}]}
    where = {"api_url": "blocked/workspace"}
    collectors = {
        "part": numbered(interval_trigger(), **where),
        "snapshot": numbered(rows_trigger(5), **where),
        "reference": numbered(interval_trigger(), **where) | {"report_config": drift, "data_definition": DEFINITION},
    }
    daemon = make_daemon(service_config(collectors, spill_rows=10))
    (daemon.directory / "blocked").touch()
    daemon.start()
    daemon.client.set_reference("reference", table("n0", 50).to_pandas())
    post(daemon.http, ledger, "snapshot", 5)
    for _ in range(2):
        post(daemon.http, ledger, "part", 10)
        wait_until(lambda: daemon.status("part")["rows_waiting"] and parts_of(daemon, "part"), "a part")
    wait_until(lambda: len(parts_of(daemon, "part")) == 2, "two parts")
    daemon.wait_for_status("snapshot", lambda one: one["outbox"] == 1)
    daemon.kill()

    damaged_part = daemon.data / parts_of(daemon, "part")[0]
    [gone] = set(pq.read_table(damaged_part)[NUMBER].to_pylist())
    [snapshot] = daemon.data.glob("snapshots/*.json")
    [reference] = daemon.data.glob("references/*.parquet")
    truncate(snapshot, rng)
    overwrite(damaged_part, rng)
    flip_page(reference, rng)
    (daemon.directory / "blocked").unlink()

    daemon.start()
    daemon.client.flush("part")
    daemon.wait_for_logs("part", 1)
    daemon.wait_for_logs("snapshot", 1)
    daemon.wait_for_status("reference", lambda one: one["state"] == "misconfigured")
    assert len(set_aside(daemon)) == 3
    for name in set_aside(daemon):
        daemon.wait_for_log(Path(name).stem.partition("-")[2])
    verdict = audit(daemon, daemon.directory / "blocked" / "workspace")
    assert verdict.lost == {("part", gone): 10}
    assert verdict.stages["delivered"] == 15
    take(figures, verdict, daemon, ledger)
    figures.faults["damaged files"] += 2
    daemon.client.set_reference("reference", table("n0", 50).to_pandas())
    post(daemon.http, ledger, "reference", 5)
    daemon.client.flush("reference")
    daemon.wait_for_logs("reference", 1)
    daemon.stop()


def parts_of(daemon, collector):
    path = daemon.data / "journal.sqlite3"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT path FROM part WHERE collector = ? ORDER BY first_seq", (collector,))
        return [path for (path,) in found]


def test_a_data_directory_of_a_newer_format_is_refused_and_left_as_it_is(make_daemon):
    daemon = make_daemon(service_config(), evaluates=False).start()
    daemon.stop()
    journal = daemon.data / "journal.sqlite3"
    with contextlib.closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 1000")
    before = journal.read_bytes()
    done = run_collector("--port", 0, cwd=daemon.directory)
    assert done.returncode == EX_CONFIG
    assert "format 1000" in done.stderr
    assert journal.read_bytes() == before
