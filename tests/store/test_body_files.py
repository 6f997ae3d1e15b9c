import hashlib
import os
import stat
import time
import zlib
from contextlib import closing

import pyarrow.parquet as pq
import pytest
import structlog
import trio

from collector.errors import StorageError
from collector.formats.frames import Frame, StoredBody
from collector.store.body_files import BodyFile, sync_body
from collector.store.connect import make_journal
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.store.parts import write_part
from collector.store.records import Part
from collector.store.repair.salvage import salvage
from collector.store.tending import SYNC_INTERVAL

BODY = b'{"a": [1, 2, 3]}'


@pytest.fixture
def data_dir(tmp_path):
    with open_data_dir(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def journal(data_dir):
    async with open_journal(data_dir) as opened:
        yield opened


def body_file(data_dir, *, is_digested=False):
    return BodyFile(data_dir.new_body("json"), trio.CapacityLimiter(1), is_digested=is_digested)


async def stored(data_dir, body=BODY, rows=3):
    kept, _ = await body_file(data_dir).finish(body, is_synced=False)
    return Frame("json", kept, rows)


async def spill(journal, data_dir, collector="main"):
    """Make a part of all that waits; give what was written."""
    run = await journal.next_run(collector, None, 10**6, 10**9)
    name = data_dir.new_part()
    written = write_part(str(data_dir.path), collector, run.first, run.last, str(data_dir.path / name))
    assert await journal.spill(run, Part(name, written.rows, written.size))
    return name, written


async def left_after_a_sync(data_dir, mock_clock, count):
    """Return the files that are left once no more are than so many."""
    mock_clock.jump(SYNC_INTERVAL)
    for _ in range(1_000):
        await trio.to_thread.run_sync(time.sleep, 0.01)
        if len(data_dir.bodies()) == count:
            break
    return data_dir.bodies()


async def test_a_file_has_all_that_was_written(data_dir):
    file = body_file(data_dir, is_digested=True)
    await file.write(BODY[:4])
    body, found = await file.finish(BODY[4:], is_synced=False, then=file.path.read_bytes)
    assert found == BODY
    assert body == StoredBody(file.path, len(BODY), zlib.crc32(BODY), hashlib.sha256(BODY).hexdigest())
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("is_synced", [False, True])
async def test_a_file_is_on_the_disk_if_it_is_to_be(data_dir, monkeypatch, is_synced):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(stat.S_ISDIR(os.fstat(opened).st_mode)))
    await body_file(data_dir).finish(BODY, is_synced=is_synced)
    assert synced == ([False, True] if is_synced else [])


async def test_a_file_that_is_not_wanted_leaves_nothing(data_dir):
    file = body_file(data_dir)
    file.discard()
    await file.write(BODY)
    file.discard()
    assert data_dir.bodies() == []


async def test_what_the_disk_refuses_is_told_as_that(data_dir):
    (data_dir.path / "bodies").rmdir()
    with pytest.raises(StorageError, match="see the system's log"):
        await body_file(data_dir).write(BODY)


def test_a_file_that_has_become_a_part_needs_no_syncing(data_dir):
    sync_body(data_dir.new_body("json"))


async def test_a_frame_in_a_file_becomes_rows_of_a_part_and_the_file_goes(journal, data_dir, mock_clock):
    """It stays until the disk has that it isn't needed: after a power cut, the journal of before names it."""
    await journal.append("main", Frame("json", b'{"a": [0]}', 1))
    await journal.append("main", frame := await stored(data_dir))
    name, written = await spill(journal, data_dir)
    assert pq.read_table(data_dir.path / name).to_pydict() == {"a": [0, 1, 2, 3]}
    assert (written.damaged, data_dir.bodies(), journal.waiting("main").rows) == ((), [frame.body.path], 4)
    assert await left_after_a_sync(data_dir, mock_clock, 0) == []


async def test_it_counts_as_any_other_also_after_a_restart(data_dir):
    async with open_journal(data_dir) as journal:
        await journal.append("main", await stored(data_dir))
        counted = journal.waiting("main").rows, journal.buffered_bytes("main")
    async with open_journal(data_dir) as journal:
        assert (journal.waiting("main").rows, journal.buffered_bytes("main")) == counted == (3, len(BODY))


@pytest.mark.parametrize("damage", [b'{"a": [1, 2, 4]}', b"", None], ids=["changed", "empty", "gone"])
async def test_a_damaged_file_is_set_aside_and_the_rest_goes_on(journal, data_dir, damage):
    frame = await stored(data_dir)
    await journal.append("main", frame)
    await journal.append("main", Frame("json", b'{"a": [0]}', 1))
    frame.body.path.unlink()
    if damage is not None:
        frame.body.path.write_bytes(damage)
    _, written = await spill(journal, data_dir)
    assert (written.rows, len(written.damaged)) == (1, 1)
    assert journal.waiting("main").rows == 1


async def test_the_journal_knows_its_files_and_the_others_are_orphans(journal, data_dir):
    known, orphan = await stored(data_dir), await stored(data_dir)
    await journal.append("main", known)
    assert data_dir.remove_orphans(*await journal.known_files()) == [orphan.body.path]
    assert data_dir.bodies() == [known.body.path]


async def test_a_collector_that_is_forgotten_takes_its_files_along(journal, data_dir, mock_clock):
    await journal.append("main", await stored(data_dir))
    await journal.append("other", other := await stored(data_dir))
    assert (await journal.forget("main"))[0] == 3
    assert await left_after_a_sync(data_dir, mock_clock, 1) == [other.body.path]


async def append_to(journal, frame, *followers):
    """Keep a frame for main and its followers."""
    assert await journal.order_append("main", frame, followers=followers).wait()


async def test_those_who_share_a_file_have_their_rows_of_it_and_it_goes_with_the_last(journal, data_dir, mock_clock):
    await append_to(journal, await stored(data_dir), "f", "g")
    for collector in ("f", "main", "g"):
        name, _ = await spill(journal, data_dir, collector)
        assert pq.read_table(data_dir.path / name).to_pydict() == {"a": [1, 2, 3]}
    assert await left_after_a_sync(data_dir, mock_clock, 0) == []


async def test_a_broken_journal_gives_back_the_rows_of_all_who_share_a_file(data_dir):
    async with open_journal(data_dir) as journal:
        await append_to(journal, frame := await stored(data_dir), "f")
    with closing(make_journal(data_dir.path / "old")) as old, closing(make_journal(data_dir.path / "new")) as new:
        old.execute("ATTACH ? AS broken", (str(data_dir.journal),))
        old.execute("INSERT INTO frame SELECT * FROM broken.frame")
        old.commit()
        assert salvage(old, new, data_dir).rows == 6
        found = new.execute("SELECT collector, body FROM frame ORDER BY collector").fetchall()
        assert found == [("f", frame.body.name), ("main", frame.body.name)]
    assert data_dir.bodies() == [frame.body.path]


async def test_a_file_that_can_not_be_removed_is_told_and_stops_nothing(journal, data_dir, mock_clock):
    await journal.append("main", frame := await stored(data_dir))
    await journal.append("main", await stored(data_dir))
    await spill(journal, data_dir)
    frame.body.path.unlink()
    frame.body.path.mkdir()
    with structlog.testing.capture_logs() as logs:
        assert await left_after_a_sync(data_dir, mock_clock, 1) == [frame.body.path]
    assert [log["body"] for log in logs] == [frame.body.name]
    await journal.append("main", Frame("json", BODY, 3))


async def test_files_are_on_the_disk_a_second_later_but_for_those_that_are_parts_by_then(
    journal, data_dir, monkeypatch, mock_clock
):
    synced = []
    monkeypatch.setattr("collector.store.tending.sync_body", synced.append)
    await journal.append("main", await stored(data_dir))
    await spill(journal, data_dir)
    await journal.append("main", frame := await stored(data_dir))
    assert await left_after_a_sync(data_dir, mock_clock, 1) == synced == [frame.body.path]


async def test_of_a_broken_journal_frames_in_files_are_kept_and_files_of_none_set_aside(data_dir):
    async with open_journal(data_dir) as journal:
        await journal.append("main", kept := await stored(data_dir))
        await journal.append("main", changed := await stored(data_dir))
    lost = await stored(data_dir)
    changed.body.path.write_bytes(b"{}")
    with closing(make_journal(data_dir.path / "old")) as old, closing(make_journal(data_dir.path / "new")) as new:
        old.execute("ATTACH ? AS broken", (str(data_dir.journal),))
        old.execute("INSERT INTO frame SELECT * FROM broken.frame")
        old.commit()
        done = salvage(old, new, data_dir)
        assert new.execute("SELECT rows, body FROM frame").fetchall() == [(3, kept.body.name)]
    assert (done.frames, done.rows, done.frames_set_aside) == (1, 3, 3)
    aside = sorted(path.name for path in data_dir.damaged("").iterdir())
    assert {f"frame-{changed.body.name}", f"frame-{lost.body.name}"} < set(aside)


async def test_without_any_journal_its_files_are_set_aside(data_dir):
    lost = await stored(data_dir)
    async with open_journal(data_dir) as journal:
        assert journal.waiting("main").rows == 0
    assert data_dir.damaged(f"frame-{lost.body.name}").read_bytes() == BODY
    assert data_dir.bodies() == []
