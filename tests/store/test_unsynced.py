import trio

from collector.store.unsynced import Unsynced


def test_what_is_taken_is_counted_no_more():
    unsynced = Unsynced()
    unsynced.add_commit(1)
    unsynced.add_body("a")
    assert (unsynced.has_commits, unsynced.new_bodies()) == (True, ["a"])
    assert unsynced.take().new == ["a"]
    assert (unsynced.has_commits, unsynced.new_bodies(), unsynced.take().new) == (False, [], [])


def test_a_body_that_is_let_go_of_needs_no_sync():
    unsynced = Unsynced()
    unsynced.add_body("a")
    unsynced.add_body("b")
    unsynced.add_unneeded(["a"])
    taken = unsynced.take()
    assert (taken.new, taken.unneeded) == (["b"], ["a"])


def test_bodies_whose_sync_failed_are_taken_again_with_those_that_came_meanwhile():
    unsynced = Unsynced()
    unsynced.add_body("a")
    taken = unsynced.take()
    unsynced.add_body("b")
    unsynced.put_back(taken)
    assert sorted(unsynced.take().new) == ["a", "b"]


async def test_a_log_is_long_once_its_commits_are_and_short_when_it_begins_anew(monkeypatch, autojump_clock):
    monkeypatch.setattr("collector.store.unsynced.LONG_LOG", 100)
    unsynced = Unsynced()
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
