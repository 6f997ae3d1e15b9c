import errno
import hashlib
import os
import sqlite3
import stat
import time
import zlib
from contextlib import closing

import pyarrow.parquet as pq
import pytest
import structlog
import trio
from disks import append, order_append
from machine import PATIENCE

from collector.disk.checksums import stored_checksum
from collector.errors import StorageError
from collector.formats.frames import Frame
from collector.formats.stored import StoredBody
from collector.store import body_files
from collector.store.body_files import BodyFiles, BodyWriter, sync_body_file
from collector.store.connect import make_journal
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.store.parts import write_part
from collector.store.records import Part
from collector.store.repair.salvage import salvage
from collector.store.schema import upgrade
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


@pytest.fixture
def files(data_dir):
    return BodyFiles(data_dir)


def writer_of(files, *, is_digested=False):
    return BodyWriter(files, "json", trio.CapacityLimiter(1), is_digested=is_digested)


async def stored(files, body=BODY, rows=3, *, is_kept=True):
    """Write a body to a file and give that back."""
    writer = writer_of(files)
    written, _ = await writer.finish(body, is_synced=False)
    writer.end(is_kept=is_kept)
    return Frame("json", written, rows)


async def stored_alone(files):
    """Write a body to a file that no other has."""
    files.close_free()
    frame = await stored(files)
    files.close_free()
    return frame


async def spill(journal, data_dir, collector="main"):
    """Make a part of all that waits; give what was written."""
    run = await journal.next_run(collector, None, 10**6, 10**9)
    name = data_dir.new_part()
    written = write_part(str(data_dir.path), collector, run.first, run.last, str(data_dir.path / name))
    assert await journal.spill(run, Part(name, written.rows, written.size))
    return name, written


async def pass_seconds_until(is_so, mock_clock):
    """Let seconds pass until something is so that the journal does in one of them; it may still be busy in the last."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline
        mock_clock.jump(SYNC_INTERVAL)
        await trio.to_thread.run_sync(time.sleep, 0.01)


async def left_after_a_sync(data_dir, mock_clock, count):
    """Return the files that are left once they are so many."""
    await pass_seconds_until(lambda: len(data_dir.body_files()) == count, mock_clock)
    return data_dir.body_files()


async def test_a_file_has_all_that_was_written(files):
    writer = writer_of(files, is_digested=True)
    await writer.write(BODY[:4])
    body, found = await writer.finish(BODY[4:], is_synced=False, then=lambda: "found")
    assert found == "found"
    assert body == StoredBody(body.path, 0, len(BODY), zlib.crc32(BODY), hashlib.sha256(BODY).hexdigest())
    assert (body.read(), writer.place, stat.S_IMODE(body.path.stat().st_mode)) == (BODY, body.place, 0o600)


async def test_a_file_takes_one_body_behind_the_other(files):
    first, second = await stored(files), await stored(files, BODY * 2)
    assert (second.body.path, second.body.start % 64, second.body.read()) == (first.body.path, 0, BODY * 2)
    assert first.body.read() == BODY


async def test_bodies_that_come_at_once_or_in_another_format_have_files_of_their_own(files, data_dir):
    one, other = writer_of(files), writer_of(files)
    for writer in (one, other, BodyWriter(files, "arrow", trio.CapacityLimiter(1), is_digested=False)):
        await writer.write(BODY)
    assert len(data_dir.body_files()) == 3


@pytest.mark.parametrize("is_synced", [False, True])
async def test_a_body_is_on_the_disk_if_it_is_to_be(files, monkeypatch, is_synced):
    """And its file's name, with the first."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(stat.S_ISDIR(os.fstat(opened).st_mode)))
    for _ in range(2):
        writer = writer_of(files)
        await writer.finish(BODY, is_synced=is_synced)
        writer.end(is_kept=True)
    assert synced == ([False, True, False] if is_synced else [])


async def test_of_a_body_that_is_not_kept_nothing_stays(files, data_dir):
    writer_of(files).end(is_kept=False)
    await stored(files, is_kept=False)
    assert data_dir.body_files() == []
    first = await stored(files)
    await stored(files, BODY * 5, is_kept=False)
    second = await stored(files)
    assert second.body.start == second.body.path.stat().st_size - len(BODY) == 64
    assert first.body.read() == second.body.read() == BODY


async def test_what_the_disk_refuses_is_told_as_that(files, data_dir):
    (data_dir.path / "bodies").rmdir()
    with pytest.raises(StorageError, match="see the system's log"):
        await writer_of(files).write(BODY)


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
async def test_a_file_that_the_disk_refuses_keeps_what_it_has_and_gets_no_more(files, monkeypatch, call):
    """What came of a write that failed isn't to be known; the next body is answered for by another file."""
    first = await stored(files)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = writer_of(files)
    await writer.write(BODY)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageError, match="the disk is full"):
            await writer.finish(BODY, is_synced=True)
        writer.end(is_kept=False)
    assert (first.body.read(), first.body.path.stat().st_size) == (BODY, 64)
    assert (await stored(files)).body.path != first.body.path


async def test_a_file_that_has_many_bytes_gets_no_more(files, monkeypatch):
    monkeypatch.setattr(body_files, "MAX_BYTES", 65)
    places = [(await stored(files)).body for _ in range(3)]
    assert [body.start for body in places] == [0, 64, 0]


async def test_a_file_that_is_lent_is_not_closed_and_is_told(files):
    frame = await stored(files)
    writer = writer_of(files)
    await writer.write(BODY)
    files.close_free()
    assert files.lent([frame.body.path.name, "other"]) == {frame.body.path.name}
    writer.end(is_kept=True)
    assert files.lent([frame.body.path.name]) == set()


def test_a_file_that_has_become_parts_needs_no_syncing(data_dir):
    sync_body_file(data_dir.new_body_file("json"))


async def test_a_frame_in_a_file_becomes_rows_of_a_part_and_the_file_goes(journal, data_dir, mock_clock):
    """It stays until the disk has that it isn't needed: after a power cut, the journal of before names it."""
    await append(journal, "main", Frame("json", b'{"a": [0]}', 1))
    await append(journal, "main", frame := await stored(journal.body_files))
    name, written = await spill(journal, data_dir)
    assert pq.read_table(data_dir.path / name).to_pydict() == {"a": [0, 1, 2, 3]}
    assert (written.damaged, data_dir.body_files(), journal.waiting("main").rows) == ((), [frame.body.path], 4)
    assert await left_after_a_sync(data_dir, mock_clock, 0) == []


async def test_it_counts_as_any_other_also_after_a_restart(data_dir):
    async with open_journal(data_dir) as journal:
        await append(journal, "main", await stored(journal.body_files))
        counted = journal.waiting("main").rows, journal.buffered_bytes("main")
    async with open_journal(data_dir) as journal:
        assert (journal.waiting("main").rows, journal.buffered_bytes("main")) == counted == (3, len(BODY))


@pytest.mark.parametrize("damage", [b'{"a": [1, 2, 4]}', b"", None], ids=["changed", "empty", "gone"])
async def test_a_damaged_file_is_set_aside_and_the_rest_goes_on(journal, data_dir, damage):
    frame = await stored(journal.body_files)
    await append(journal, "main", frame)
    await append(journal, "main", Frame("json", b'{"a": [0]}', 1))
    frame.body.path.unlink()
    if damage is not None:
        frame.body.path.write_bytes(damage)
    _, written = await spill(journal, data_dir)
    assert (written.rows, len(written.damaged)) == (1, 1)
    assert journal.waiting("main").rows == 1


async def test_the_journal_knows_its_files_and_the_others_are_orphans(journal, data_dir):
    known, orphan = await stored_alone(journal.body_files), await stored_alone(journal.body_files)
    await append(journal, "main", known)
    assert data_dir.remove_orphans(*await journal.known_files()) == [orphan.body.path]
    assert data_dir.body_files() == [known.body.path]


async def test_a_collector_that_is_forgotten_takes_its_files_along(journal, data_dir, mock_clock):
    for collector in ("main", "other"):
        await append(journal, collector, await stored_alone(journal.body_files))
    await append(journal, "main", await stored(journal.body_files))
    await append(journal, "other", other := await stored(journal.body_files))
    assert (await journal.forget("main"))[0] == 6
    left = await left_after_a_sync(data_dir, mock_clock, 2)
    assert (left[1], other.body.read()) == (other.body.path, BODY)


async def append_to(journal, frame, *followers):
    """Keep a frame for main and its followers."""
    assert await order_append(journal, "main", frame, followers=followers).wait()


async def test_a_file_that_an_older_format_made_for_one_body_becomes_rows_too_and_goes(data_dir, mock_clock):
    with closing(sqlite3.connect(data_dir.journal)) as old:
        upgrade(old, 0, 16)
        data_dir.body_file("1.json").write_bytes(BODY)
        checksum = stored_checksum("main", "json", 3, zlib.crc32(BODY))
        frame = (1, "main", None, "json", 3, len(BODY), 1.0, "1.json", checksum)
        old.execute("INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", frame)
        old.commit()
    async with open_journal(data_dir) as journal:
        assert await journal.known_files() == (set(), set(), {"1.json"})
        name, _ = await spill(journal, data_dir)
        assert pq.read_table(data_dir.path / name).to_pydict() == {"a": [1, 2, 3]}
        assert await left_after_a_sync(data_dir, mock_clock, 0) == []


@pytest.fixture
def sync(monkeypatch, mock_clock):
    """Have what is committed synced, and return once it is; what goes then may not have gone."""
    synced = []
    monkeypatch.setattr("collector.store.tending.reach", synced.append)

    async def sync():
        before = len(synced)
        await pass_seconds_until(lambda: len(synced) > before, mock_clock)

    return sync


async def test_a_file_into_which_a_body_is_written_stays_though_all_in_it_are_parts(
    journal, data_dir, sync, mock_clock
):
    """It is looked at again each second, and goes when its body isn't kept."""
    await append(journal, "main", frame := await stored(journal.body_files))
    writer = writer_of(journal.body_files)
    await writer.finish(BODY, is_synced=False)
    await spill(journal, data_dir)
    for _ in range(3):
        await sync()
    assert data_dir.body_files() == [frame.body.path]
    writer.end(is_kept=False)
    assert await left_after_a_sync(data_dir, mock_clock, 0) == []


async def test_a_file_whose_body_waits_for_its_transaction_stays_though_all_else_in_it_are_parts(
    journal, data_dir, sync
):
    """As that of a request whose client has gone since."""
    await append(journal, "main", await stored(journal.body_files))
    await spill(journal, data_dir)
    order_append(journal, "main", frame := await stored(journal.body_files))
    for _ in range(2):
        await sync()
    assert (journal.waiting("main").frames, frame.body.read()) == (1, BODY)


async def test_those_who_share_a_file_have_their_rows_of_it_and_it_goes_with_the_last(journal, data_dir, mock_clock):
    await append_to(journal, await stored(journal.body_files), "f", "g")
    for collector in ("f", "main", "g"):
        name, _ = await spill(journal, data_dir, collector)
        assert pq.read_table(data_dir.path / name).to_pydict() == {"a": [1, 2, 3]}
    assert await left_after_a_sync(data_dir, mock_clock, 0) == []


async def test_a_broken_journal_gives_back_the_rows_of_all_who_share_a_file(data_dir):
    async with open_journal(data_dir) as journal:
        await append_to(journal, frame := await stored(journal.body_files), "f")
    with closing(make_journal(data_dir.path / "old")) as old, closing(make_journal(data_dir.path / "new")) as new:
        old.execute("ATTACH ? AS broken", (str(data_dir.journal),))
        old.execute("INSERT INTO frame SELECT * FROM broken.frame")
        old.commit()
        assert salvage(old, new, data_dir).rows == 6
        found = new.execute("SELECT collector, body FROM frame ORDER BY collector").fetchall()
        assert found == [("f", frame.body.place), ("main", frame.body.place)]
    assert data_dir.body_files() == [frame.body.path]


async def test_a_file_that_can_not_be_removed_is_told_and_stops_nothing(journal, data_dir, mock_clock):
    await append(journal, "main", frame := await stored_alone(journal.body_files))
    await append(journal, "main", await stored(journal.body_files))
    await spill(journal, data_dir)
    frame.body.path.unlink()
    frame.body.path.mkdir()
    with structlog.testing.capture_logs() as logs:
        assert await left_after_a_sync(data_dir, mock_clock, 1) == [frame.body.path]
    assert [log["body"] for log in logs] == [frame.body.path.name]
    await append(journal, "main", Frame("json", BODY, 3))


async def test_files_are_on_the_disk_a_second_later_but_for_those_that_are_parts_by_then(
    journal, data_dir, monkeypatch, mock_clock
):
    synced = []
    monkeypatch.setattr("collector.store.tending.sync_body_file", synced.append)
    await append(journal, "main", await stored_alone(journal.body_files))
    await spill(journal, data_dir)
    await append(journal, "main", frame := await stored(journal.body_files))
    assert await left_after_a_sync(data_dir, mock_clock, 1) == synced == [frame.body.path]


async def test_of_a_broken_journal_frames_in_files_are_kept_and_files_of_none_set_aside(data_dir):
    async with open_journal(data_dir) as journal:
        gone = await stored(journal.body_files)
        await append(journal, "main", kept := await stored(journal.body_files))
        await stored(journal.body_files)
        await append(journal, "main", changed := await stored_alone(journal.body_files))
        lost = await stored_alone(journal.body_files)
    changed.body.path.write_bytes(b"{}")
    with closing(make_journal(data_dir.path / "old")) as old, closing(make_journal(data_dir.path / "new")) as new:
        old.execute("ATTACH ? AS broken", (str(data_dir.journal),))
        old.execute("INSERT INTO frame SELECT * FROM broken.frame")
        old.commit()
        done = salvage(old, new, data_dir)
        assert new.execute("SELECT rows, body FROM frame").fetchall() == [(3, kept.body.place)]
    assert (done.frames, done.rows, done.frames_set_aside) == (1, 3, 5)
    aside = {path.name: path.read_bytes().strip(bytes(1)) for path in data_dir.damaged("").iterdir()}
    expected = {f"frame-{start}-{gone.body.path.name}": BODY for start in (0, 128)}
    expected |= {f"frame-{changed.body.path.name}": b"{}", f"frame-{lost.body.path.name}": BODY}
    assert expected.items() <= aside.items()
    assert data_dir.body_files() == [kept.body.path]


async def test_without_any_journal_its_files_are_set_aside(data_dir):
    lost = await stored_alone(BodyFiles(data_dir))
    async with open_journal(data_dir) as journal:
        assert journal.waiting("main").rows == 0
    assert data_dir.damaged(f"frame-{lost.body.path.name}").read_bytes() == BODY
    assert data_dir.body_files() == []
