"""A supervisor with fake tools around a real journal; the config file is real."""

import json

import pyarrow.parquet as pq
import pytest
import trio
from worlds import collector, frame_of, open_world, rows_trigger, settled

from collector.config import CollectorServiceConfig
from collector.config.config_file import ConfigFile
from collector.config.reference_from import ReferenceFrom
from collector.errors import (
    ConfigConflict,
    ConfigError,
    IsFollower,
    NotReady,
    Problem,
    StorageError,
    UnknownCollector,
)
from collector.supervision.bulkhead import STORAGE_PAUSE
from collector.supervision.supervisor import Supervisor


@pytest.fixture
def world(tmp_path, monkeypatch):
    return lambda clock=None: open_world(tmp_path, monkeypatch, clock)


def service(*collectors, **fields):
    return CollectorServiceConfig(collectors={config.id: config for config in collectors}, **fields)


async def start(nursery, world, config):
    """Run a supervisor whose config file holds what it was started with."""
    config.save(path(world))
    supervisor = Supervisor(ConfigFile.open(path(world)), world.tools)
    await nursery.start(supervisor.run)
    return supervisor


def path(world):
    return world.base / "collector_config.json"


def saved(world):
    return json.loads(path(world).read_text(encoding="utf-8"))["collectors"]


async def test_it_starts_what_the_config_asks_for(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1)), collector("b")))
        await w.post(1, "a")
        await settled()
        assert [status.id for status in supervisor.service_status().collectors] == ["a", "b"]
        assert w.workspace.rows == [[0]]
        nursery.cancel_scope.cancel()


async def test_a_new_collector_is_saved_and_runs(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        await supervisor.put(collector("a", rows_trigger(1)))
        await w.post(1, "a")
        await settled()
        assert (list(saved(w)), w.workspace.rows) == (["a"], [[0]])
        nursery.cancel_scope.cancel()


async def test_an_identical_config_changes_nothing(world):
    """Neither is the pipeline begun again, nor the file written."""
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        pipeline, written = supervisor.pipeline("a"), path(w).stat()
        await supervisor.put(collector("a"))
        assert supervisor.pipeline("a") is pipeline
        assert path(w).stat().st_ino == written.st_ino
        nursery.cancel_scope.cancel()


async def test_a_changed_config_takes_the_events_that_wait(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(10))))
        await w.post(2, "a")
        pipeline = supervisor.pipeline("a")
        await supervisor.put(collector("a", rows_trigger(2)))
        await settled()
        assert supervisor.pipeline("a") is not pipeline
        assert w.workspace.rows == [[0, 1]]
        assert saved(w)["a"]["trigger"]["rows_count"] == 2
        nursery.cancel_scope.cancel()


async def test_others_are_left_alone_by_a_change(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), collector("b")))
        other = supervisor.pipeline("b")
        await supervisor.put(collector("a", rows_trigger(2)))
        await supervisor.delete("a")
        assert supervisor.pipeline("b") is other
        nursery.cancel_scope.cancel()


async def test_the_pipeline_that_is_replaced_has_stopped(world):
    """Two at work on one collector would evaluate a batch twice."""
    async with world() as w, trio.open_nursery() as nursery:
        w.workers.hold = trio.Event()
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1))))
        await w.post(1, "a")
        await settled()
        await supervisor.put(collector("a", rows_trigger(2)))
        w.workers.hold.set()
        await settled()
        assert w.workspace.rows == [[0]]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("named", "key"),
    [
        ({"reference_path": "../reference.parquet"}, "reference_path"),
        ({"api_url": "/srv/workspace"}, "api_url"),
    ],
)
async def test_a_client_is_told_of_a_place_that_it_may_not_name(world, named, key):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        with pytest.raises(ConfigError) as caught:
            await supervisor.check(collector("a", is_posted=True, **named))
        assert [problem.key for problem in caught.value.problems] == [key]
        nursery.cancel_scope.cancel()


async def test_an_absolute_reference_that_a_client_names_is_taken_as_the_original_took_it_and_left_alone(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        config = collector("a", rows_trigger(1), is_posted=True, reference_path="/no/such.parquet")
        await supervisor.check(config)
        await supervisor.put(config)
        await settled()
        assert "a client named it" in supervisor.status("a").problems[0]
        nursery.cancel_scope.cancel()


async def test_another_report_from_a_client_does_not_take_the_operators_reference_out_of_use(world):
    """It lies where only the operator may have it; the change would leave the collector misconfigured."""
    async with world() as w, trio.open_nursery() as nursery:
        known = collector("a", rows_trigger(1), reference_path="/srv/reference.parquet")
        supervisor = await start(nursery, w, service(known))
        with pytest.raises(ConfigError, match=r"reference_path: /srv/reference\.parquet lies outside"):
            await supervisor.check(known.model_copy(update={"is_posted": True}))
        nursery.cancel_scope.cancel()


async def test_delete_takes_all_that_belongs_to_a_collector(world):
    async with world() as w, trio.open_nursery() as nursery:
        w.workspace.hold = trio.Event()
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(2))))
        await w.post(2, "a")
        await settled()
        await w.post(1, "a")
        assert await supervisor.delete("a") == 3
        assert (saved(w), supervisor.service_status().collectors) == ({}, ())
        assert list((w.data_dir.path / "parts").iterdir()) == []
        assert list((w.data_dir.path / "snapshots").iterdir()) == []
        assert await w.journal.batches("a", "sealed", "evaluated", "delivered") == []
        nursery.cancel_scope.cancel()


async def test_what_is_not_there_is_unknown(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        for ask in (supervisor.pipeline, supervisor.status):
            with pytest.raises(UnknownCollector, match="'nobody' not found"):
                ask("nobody")
        with pytest.raises(UnknownCollector):
            await supervisor.delete("nobody")
        with pytest.raises(UnknownCollector):
            await supervisor.set_reference("nobody", frame_of([1]))
        nursery.cancel_scope.cancel()


async def test_a_reference_is_kept_in_the_data_directory_and_named_relatively(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1))))
        await supervisor.set_reference("a", frame_of([7, 8]))
        relative = saved(w)["a"]["reference_path"]
        assert relative.startswith("data/references/a-")
        assert pq.read_table(w.base / relative)["n"].to_pylist() == [7, 8]
        await w.post(1, "a")
        await settled()
        assert w.workers.evaluated[0]["reference"] == str(w.base / relative)
        nursery.cancel_scope.cancel()


async def test_a_new_reference_does_not_stop_a_running_report(world):
    async with world() as w, trio.open_nursery() as nursery:
        w.workers.hold = trio.Event()
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1))))
        await w.post(1, "a")
        await settled()
        pipeline = supervisor.pipeline("a")
        await supervisor.set_reference("a", frame_of([7]))
        await supervisor.put(pipeline.config.model_copy(update={"reference_from": ReferenceFrom(previous=7)}))
        assert supervisor.pipeline("a") is pipeline
        w.workers.hold.set()
        await settled()
        assert (len(w.workers.evaluated), w.workspace.rows) == (1, [[0]])
        nursery.cancel_scope.cancel()


async def test_what_was_made_of_a_collectors_rows_goes_with_it(world):
    async with world() as w, trio.open_nursery() as nursery:
        made = collector("a", rows_trigger(1), reference_from={"first_rows": 1})
        supervisor = await start(nursery, w, service(made))
        for _ in range(2):
            await w.post(1, "a")
            await settled()
        assert len(list((w.data_dir.path / "references").iterdir())) == 1
        await supervisor.rename("a", "b")
        await w.post(1, "b")
        await settled()
        assert w.workers.compared == [None, [0], [0]]
        await supervisor.delete("b")
        assert list((w.data_dir.path / "references").iterdir()) == []
        nursery.cancel_scope.cancel()


async def test_old_references_are_removed_but_for_the_one_that_a_report_may_read(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        for number in range(4):
            await supervisor.set_reference("a", frame_of([number]))
        kept = [pq.read_table(file)["n"].to_pylist() for file in sorted((w.data_dir.path / "references").iterdir())]
        assert kept == [[2], [3]]
        nursery.cancel_scope.cancel()


async def test_a_reference_whose_collector_is_deleted_meanwhile_is_refused_as_unknown(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        write = w.workers.write_reference

        async def write_and_delete(*args):
            await write(*args)
            await supervisor.delete("a")

        w.workers.write_reference = write_and_delete
        with pytest.raises(UnknownCollector):
            await supervisor.set_reference("a", frame_of([1]))
        nursery.cancel_scope.cancel()


async def test_a_reference_that_newer_ones_have_replaced_meanwhile_is_not_used(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        write = w.workers.write_reference

        async def write_and_be_overtaken(*args):
            await write(*args)
            w.workers.write_reference = write
            for number in range(2):
                await supervisor.set_reference("a", frame_of([number]))

        w.workers.write_reference = write_and_be_overtaken
        with pytest.raises(ConfigConflict, match="send this one again"):
            await supervisor.set_reference("a", frame_of([7]))
        assert pq.read_table(w.base / saved(w)["a"]["reference_path"])["n"].to_pylist() == [1]
        nursery.cancel_scope.cancel()


async def test_an_order_is_carried_out_though_its_giver_is_gone(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        given = []

        async def give():
            with trio.CancelScope() as scope:
                given.append(scope)
                await supervisor.put(collector("a"))

        nursery.start_soon(give)
        while supervisor._orders._taken.statistics().tasks_waiting_receive:  # noqa: SLF001  (until it is taken)
            await trio.lowlevel.checkpoint()
        given[0].cancel()
        await settled()
        assert given[0].cancelled_caught
        assert (list(saved(w)), supervisor.status("a").id) == (["a"], "a")
        nursery.cancel_scope.cancel()


async def test_orders_given_at_once_are_all_carried_out(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        async with trio.open_nursery() as givers:
            for number in range(10):
                givers.start_soon(supervisor.put, collector(f"c{number}"))
        assert sorted(saved(w)) == sorted(supervisor.config.collectors) == [f"c{number}" for number in range(10)]
        nursery.cancel_scope.cancel()


async def test_a_config_is_saved_before_it_takes_effect(world, monkeypatch):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        seen = []
        save = ConfigFile.save
        monkeypatch.setattr(
            ConfigFile, "save", lambda *args: (seen.append(list(supervisor.config.collectors)), save(*args))
        )
        await supervisor.put(collector("a"))
        assert (seen, list(supervisor.config.collectors)) == ([[]], ["a"])
        nursery.cancel_scope.cancel()


async def test_a_config_that_cannot_be_saved_changes_nothing(world, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        pipeline = supervisor.pipeline("a")
        monkeypatch.setattr(ConfigFile, "save", refuse)
        with pytest.raises(StorageError, match="No space left on device"):
            await supervisor.put(collector("a", rows_trigger(2)))
        with pytest.raises(StorageError):
            await supervisor.delete("a")
        assert supervisor.pipeline("a") is pipeline
        assert await w.journal.forgotten() == []
        monkeypatch.undo()
        await supervisor.put(collector("b"))
        assert list(supervisor.config.collectors) == ["a", "b"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("configured", "rows"), [(["a"], 2), ([], 0)], ids=["before", "after"])
async def test_a_deletion_that_a_crash_cut_off_before_or_after_the_saving_is_undone_or_done(world, configured, rows):
    async with world() as w, trio.open_nursery() as nursery:
        await w.post(2, "a")
        await w.journal.mark_forgotten("a")
        reference = w.data_dir.new_reference("a")
        reference.touch()
        await start(nursery, w, service(*map(collector, configured)))
        assert (w.journal.waiting("a").rows, reference.exists()) == (rows, bool(rows))
        assert await w.journal.forgotten() == []
        nursery.cancel_scope.cancel()


# Renaming


async def test_all_that_a_collector_has_goes_with_it_to_its_new_id(world):
    async with world() as w, trio.open_nursery() as nursery:
        w.workspace.hold = trio.Event()
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(2)), collector("b")))
        await w.post(2, "a")  # waits for its workspace
        await settled()
        await w.post(1, "a")
        await w.journal.log("a", {"type": "told"}, 10)
        config = await supervisor.rename("a", "c")
        assert (config.id, list(saved(w))) == ("c", ["c", "b"])
        assert [status.id for status in supervisor.service_status().collectors] == ["c", "b"]
        assert (w.journal.waiting("a").rows, w.journal.waiting("c").rows) == (0, 1)
        assert (w.journal.buffered_bytes("a"), w.journal.buffered_bytes("c") > 0) == (0, True)
        assert {"type": "told"} in await w.journal.logs("c")
        w.workspace.hold.set()
        await w.post(1, "c")
        await settled()
        assert w.workspace.rows == [[0, 1], [2, 3]]
        with pytest.raises(UnknownCollector, match="'a' not found; it was renamed to 'c'"):
            supervisor.pipeline("a")
        nursery.cancel_scope.cancel()


async def test_a_renaming_that_is_asked_for_again_is_done_already(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        for _ in range(2):
            assert (await supervisor.rename("a", "b")).id == "b"
        await supervisor.rename("b", "c")
        with pytest.raises(UnknownCollector, match="renamed to 'c'"):
            supervisor.pipeline("a")
        await supervisor.rename("c", "a")
        assert supervisor.pipeline("a").config.id == "a"
        nursery.cancel_scope.cancel()


async def test_an_id_that_is_taken_is_no_new_one(world):
    async with world() as w, trio.open_nursery() as nursery:
        await w.post(1, "retired")
        supervisor = await start(nursery, w, service(collector("a"), collector("b")))
        for taken in ("a", "b", "retired"):
            with pytest.raises(ConfigConflict, match=f"there is a collector '{taken}' already"):
                await supervisor.rename("a", taken)
        with pytest.raises(UnknownCollector):
            await supervisor.rename("nobody", "c")
        nursery.cancel_scope.cancel()


async def test_nothing_is_renamed_in_a_file_that_is_not_ours_to_write(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), autosave=False))
        with pytest.raises(ConfigConflict, match="'autosave' is false"):
            await supervisor.rename("a", "b")
        nursery.cancel_scope.cancel()


async def test_a_renaming_that_cannot_be_saved_changes_nothing(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(2))))
        await supervisor.set_reference("a", frame_of([1]))
        await w.post(1, "a")
        body = path(w).read_bytes()
        path(w).write_bytes(body + b"\n")
        with pytest.raises(ConfigConflict, match="was just edited"):
            await supervisor.rename("a", "b")
        path(w).write_bytes(body)
        assert (list(supervisor.config.collectors), await w.journal.half_renamed()) == (["a"], [])
        assert len(list((w.data_dir.path / "references").iterdir())) == 1
        await w.post(1, "a")
        await settled()
        assert w.workspace.rows == [[0, 1]]
        nursery.cancel_scope.cancel()


async def test_a_reference_that_a_client_sent_goes_along(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        await supervisor.set_reference("a", frame_of([1]))
        before = (w.base / supervisor.pipeline("a").config.reference_path).read_bytes()
        config = await supervisor.rename("a", "b")
        [left] = (w.data_dir.path / "references").iterdir()
        assert (w.base / config.reference_path, left.name.startswith("b-"), left.read_bytes()) == (left, True, before)
        assert saved(w)["b"]["reference_path"] == config.reference_path
        nursery.cancel_scope.cancel()


async def test_events_that_come_amid_a_renaming_are_asked_for_again(world, monkeypatch):
    seen = []

    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a")))
        save = ConfigFile.save

        def saving(*args):
            with pytest.raises(NotReady, match="'a' is being renamed; nothing was kept"):
                supervisor.pipeline("a")
            seen.append(1)
            save(*args)

        monkeypatch.setattr(ConfigFile, "save", saving)
        await supervisor.rename("a", "b")
        assert seen == [1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("configured", "rows"), [("a", (2, 0)), ("b", (0, 2))], ids=["before", "after"])
async def test_a_renaming_that_a_crash_cut_off_before_or_after_the_saving_is_undone_or_done(world, configured, rows):
    async with world() as w, trio.open_nursery() as nursery:
        await w.post(2, "a")
        await w.journal.mark_renamed("a", "b")
        await start(nursery, w, service(collector(configured)))
        assert (w.journal.waiting("a").rows, w.journal.waiting("b").rows) == rows
        assert await w.journal.half_renamed() == []
        nursery.cancel_scope.cancel()


# Following


def follower(leader="a", collector_id="f", **fields):
    return collector(collector_id, events_from=leader, **fields)


def takers(supervisor, collector_id):
    return [one.id for one in supervisor.takers(collector_id)]


async def test_a_collector_begins_and_ends_to_follow_another_while_events_come(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), collector("b")))
        leader = supervisor.pipeline("a")
        assert takers(supervisor, "a") == []
        await supervisor.put(follower())
        assert (takers(supervisor, "a"), takers(supervisor, "b"), saved(w)["f"]["events_from"]) == (["f"], [], "a")
        with pytest.raises(IsFollower, match="send them to 'a'"):
            supervisor.takers("f")
        assert supervisor.pipeline("a") is leader  # it is left alone
        await supervisor.put(follower("b"))
        assert (takers(supervisor, "a"), takers(supervisor, "b")) == ([], ["f"])
        await supervisor.delete("f")
        assert takers(supervisor, "b") == []
        with pytest.raises(UnknownCollector):
            supervisor.takers("f")
        nursery.cancel_scope.cancel()


async def test_a_client_makes_no_chain_and_no_circle(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), follower()))
        for config, said in (
            (follower("f", "g"), "^events_from: 'f' gets its own events from 'a'"),
            (follower("nobody", "g"), "^events_from: there is no collector 'nobody'"),
            (follower("f", "a"), "^events_from: 'f' gets its own events from 'a'.*collectors.f.events_from: 'a' gets"),
        ):
            for refused in (supervisor.check, supervisor.put):
                with pytest.raises(ConfigError, match=said):
                    await refused(config)
        assert (list(saved(w)), saved(w)["a"].get("events_from")) == (["a", "f"], None)
        nursery.cancel_scope.cancel()


async def test_a_collector_that_is_followed_can_not_be_deleted(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), follower(), follower(collector_id="g")))
        await w.post(1, "a")
        with pytest.raises(ConfigConflict, match="'a' can't be deleted while others get its events: 'f', 'g'"):
            await supervisor.delete("a")
        assert (w.journal.waiting("a").rows, await w.journal.forgotten()) == (1, [])
        for one in "fga":
            await supervisor.delete(one)
        assert saved(w) == {}
        nursery.cancel_scope.cancel()


async def test_followers_follow_under_new_ids_of_both(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), follower(when_full="skip")))
        await supervisor.rename("f", "g")
        assert takers(supervisor, "a") == ["g"]
        await supervisor.rename("a", "b")
        assert (takers(supervisor, "b"), list(saved(w))) == (["g"], ["b", "g"])
        assert (saved(w)["g"]["events_from"], saved(w)["g"]["when_full"]) == ("b", "skip")
        assert supervisor.pipeline("g").config.events_from == "b"
        nursery.cancel_scope.cancel()


async def test_events_that_come_while_a_follower_is_renamed_are_asked_for_again(world, monkeypatch):
    """They would be entered under an id that is gone."""
    seen = []

    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(collector("a"), follower()))
        save = ConfigFile.save

        def saving(*args):
            with pytest.raises(NotReady, match="'f', which gets these events too, is being renamed; nothing was kept"):
                supervisor.takers("a")
            seen.append(1)
            save(*args)

        monkeypatch.setattr(ConfigFile, "save", saving)
        await supervisor.rename("f", "g")
        assert (seen, takers(supervisor, "a")) == ([1], ["g"])
        nursery.cancel_scope.cancel()


async def test_an_edit_by_hand_is_not_saved_over(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        service(collector("by-hand")).save(path(w))
        with pytest.raises(ConfigConflict, match="was just edited"):
            await supervisor.put(collector("a"))
        assert (list(saved(w)), supervisor.service_status().collectors) == (["by-hand"], ())
        nursery.cancel_scope.cancel()


async def test_without_autosave_the_file_is_left_alone(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service(autosave=False))
        await supervisor.put(collector("a"))
        assert (saved(w), supervisor.status("a").id) == ({}, "a")
        nursery.cancel_scope.cancel()


async def test_check_raises_with_all_that_evidently_says(world):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, service())
        await supervisor.check(collector("a"))
        w.workers.problems = [Problem(("report_config",), "one"), Problem(("report_config",), "two")]
        with pytest.raises(ConfigError, match="report_config: one; report_config: two"):
            await supervisor.check(collector("a"))
        nursery.cancel_scope.cancel()


async def test_a_pipeline_that_fails_is_shown_and_begun_again_and_no_other_notices(world, autojump_clock):
    async with world(autojump_clock) as w, trio.open_nursery() as nursery:
        w.workers.failures = [RuntimeError("our own mistake")]  # nothing that Workers says it raises
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1)), collector("b", rows_trigger(1))))
        await w.post(1, "a")
        await settled()
        status = supervisor.status("a")
        assert (status.state, status.last_error) == ("crashed", "RuntimeError: our own mistake")
        await w.post(1, "b")
        await settled()
        assert (supervisor.status("b").state, w.workspace.rows) == ("waiting", [[1]])
        await trio.sleep(0.5)  # the first pause is half a second at most
        await settled()
        assert (supervisor.status("a").state, w.workspace.rows) == ("waiting", [[1], [0]])
        nursery.cancel_scope.cancel()


async def test_a_pipeline_that_fails_for_ever_is_begun_again_ever_more_rarely(world, autojump_clock):
    async with world(autojump_clock) as w, trio.open_nursery() as nursery:
        w.workers.failures = [RuntimeError("again") for _ in range(1000)]
        await start(nursery, w, service(collector("a", rows_trigger(1))))
        await w.post(1, "a")
        await trio.sleep(60)
        # Pauses of at least 0.25, 0.5, 1 ... 16, 30 s: the ninth try comes after a minute.
        assert 6 <= len(w.workers.evaluated) <= 8
        nursery.cancel_scope.cancel()


async def test_a_failing_pipeline_can_be_replaced_at_once(world, autojump_clock):
    async with world(autojump_clock) as w, trio.open_nursery() as nursery:
        w.workers.failures = [RuntimeError("again")]
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1))))
        await w.post(1, "a")
        await settled()
        await supervisor.put(collector("a", rows_trigger(2)))
        await settled()
        assert w.workspace.rows == [[0]]
        nursery.cancel_scope.cancel()


async def test_a_pipeline_that_worked_for_a_day_is_begun_again_soon(world, autojump_clock, monkeypatch):
    monkeypatch.setattr("collector.waiting.backoff.random.uniform", lambda _low, high: high)
    async with world(autojump_clock) as w, trio.open_nursery() as nursery:
        await start(nursery, w, service(collector("a", rows_trigger(1))))
        for _ in range(5):
            w.workers.failures = [RuntimeError("now and then")]
            await w.post(1, "a")
            await trio.sleep(1000)
        w.workers.failures = [RuntimeError("now and then")]
        await w.post(1, "a")
        await trio.sleep(1)
        await settled()
        assert len(w.workspace.rows) == 6
        nursery.cancel_scope.cancel()


async def test_a_pipeline_that_the_disk_refuses_is_begun_again_as_soon_as_there_is_room(world, autojump_clock):
    async with world(autojump_clock) as w, trio.open_nursery() as nursery:
        w.workers.part_failures = [StorageError("the disk is full") for _ in range(10)]
        supervisor = await start(nursery, w, service(collector("a", rows_trigger(1))))
        await w.post(1, "a")
        await trio.sleep(9.5 * STORAGE_PAUSE)
        assert (w.workspace.rows, supervisor.status("a").state) == ([], "crashed")
        await trio.sleep(STORAGE_PAUSE)
        await settled()
        assert (w.workspace.rows, supervisor.status("a").state) == ([[0]], "waiting")
        nursery.cancel_scope.cancel()


async def test_each_task_of_a_collector_is_at_work_and_none_is_changed_by_clients(world):
    async with world() as w, trio.open_nursery() as nursery:
        kafka = {"bootstrap_servers": "k:1"}
        wanted = collector("a", kafka={"topics": ["t"], "tasks_max": 2})
        supervisor = await start(nursery, w, service(wanted, collector("b"), kafka=kafka))
        assert [status.id for status in supervisor.service_status().collectors] == ["a", "a~task1", "b"]
        with pytest.raises(ConfigConflict):
            await supervisor.put(collector("a~task1"))
        with pytest.raises(ConfigConflict):
            await supervisor.delete("a~task1")
        assert list(saved(w)) == ["a", "b"]
        nursery.cancel_scope.cancel()
