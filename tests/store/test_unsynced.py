import pytest
import trio

from collector.store.body_files import BodyFiles
from collector.store.data_dir import DataDir
from collector.store.unsynced import Bodies, Unsynced


@pytest.fixture
def unsynced(tmp_path):
    return Unsynced(BodyFiles(DataDir(tmp_path)))


def test_what_is_taken_is_counted_no_more(unsynced):
    unsynced.add_commit(1)
    unsynced.add_body("a")
    assert (unsynced.has_commits, unsynced.new_files()) == (True, {"a"})
    assert unsynced.take().new == {"a"}
    assert (unsynced.has_commits, unsynced.new_files(), unsynced.take().new) == (False, set(), set())


def test_bodies_whose_sync_failed_are_taken_again_with_those_that_came_meanwhile(unsynced):
    unsynced.add_body("a")
    unsynced.add_left({"l"})
    taken = unsynced.take()
    unsynced.add_body("b")
    unsynced.put_back(taken)
    assert (unsynced.has_commits, unsynced.take()) == (True, Bodies({"a", "b"}, {"l"}))


async def test_a_log_is_long_once_its_commits_are_and_short_when_it_begins_anew(unsynced, monkeypatch, autojump_clock):
    monkeypatch.setattr("collector.store.unsynced.LONG_LOG", 100)
    unsynced.add_commit(99)
    with trio.move_on_after(1) as waiting:
        await unsynced.wait_for_long_log()
    assert waiting.cancelled_caught
    unsynced.add_commit(1)
    await unsynced.wait_for_long_log()
    unsynced.begin_log()
    with trio.move_on_after(1) as waiting:
        await unsynced.wait_for_long_log()
    assert waiting.cancelled_caught
