"""A supervisor whose config file is edited by hand."""

import pytest
import trio
from machine import PATIENCE
from worlds import collector, rows_trigger, settled, write_reference

from collector.config import CollectorServiceConfig
from collector.config.config_file import ConfigFile
from collector.errors import ConfigError, EvaluationError, Problem, UnknownCollector
from collector.supervision.edits import Changes
from collector.supervision.supervisor import Supervisor


def service(*collectors, **fields):
    return CollectorServiceConfig(collectors={config.id: config for config in collectors}, **fields)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "collector_config.json"


async def start(nursery, world, path, config):
    config.save(path)
    supervisor = Supervisor(ConfigFile.open(path), world.tools)
    await nursery.start(supervisor.run)
    return supervisor


def state(supervisor):
    return supervisor.service_status().config


def states(supervisor):
    return {status.id: status.state for status in supervisor.service_status().collectors}


async def test_exactly_what_an_edit_changes_is_begun_again(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a"), collector("b"), collector("c")))
        a, b = supervisor.pipeline("a"), supervisor.pipeline("b")
        service(collector("a"), collector("b", rows_trigger(2)), collector("d")).save(path)
        assert await supervisor.reload() == Changes(added=("d",), changed=("b",), removed=("c",))
        assert (supervisor.pipeline("a") is a, supervisor.pipeline("b") is b) == (True, False)
        assert list(states(supervisor)) == ["a", "b", "d"]
        nursery.cancel_scope.cancel()


async def test_a_file_that_was_not_edited_changes_nothing(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a")))
        await supervisor.put(collector("b"))
        loaded = state(supervisor).loaded
        assert await supervisor.reload() == Changes()
        assert (state(supervisor).loaded, list(states(supervisor))) == (loaded, ["a", "b"])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda text: text[:50], r"isn't JSON: .* line \d+, column \d+"),
        (
            lambda text: text.replace('"rows_count": 1000000000', '"rows_count": 0'),
            r"rows_count \(line \d+, column \d+\): ",
        ),
        (lambda text: text.replace("null", '"none.parquet"', 1), r"a.reference_path \(line \d+, column \d+\): no file"),
    ],
    ids=["truncated", "invalid", "without its reference"],
)
async def test_a_bad_edit_changes_nothing_and_is_told_until_it_is_mended(world, path, edit, told):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a")))
        pipeline, good = supervisor.pipeline("a"), path.read_text()
        path.write_text(edit(good))
        with pytest.raises(ConfigError, match=told):
            await supervisor.reload()
        assert supervisor.pipeline("a") is pipeline
        assert state(supervisor).error.startswith(str(path))
        path.write_text(good)
        await supervisor.reload()
        assert (supervisor.pipeline("a") is pipeline, state(supervisor).error) == (True, "")
        nursery.cancel_scope.cancel()


async def test_reports_are_checked_first_but_only_those_that_are_new(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a")))
        await settled()
        w.workers.problems = [Problem(("report_config", "metrics", 0), "unknown metric")]
        service(collector("a", rows_trigger(7))).save(path)
        assert (await supervisor.reload()).changed == ("a",)
        service(collector("a", rows_trigger(7)), collector("b")).save(path)
        with pytest.raises(ConfigError, match=r"collectors.b.report_config.metrics.0 \(line 3\d, .*unknown metric"):
            await supervisor.reload()
        assert list(states(supervisor)) == ["a"]
        nursery.cancel_scope.cancel()


async def test_rows_that_a_follower_asks_for_are_checked_again_when_its_leader_hashes_others(world, path):
    """What was a hash is a number now: the follower's own config is as it was, but can't be used any more."""
    follower = collector(
        "f", events_from="a", where={"user": {"eq": "hmac:" + 32 * "0"}}, reference_path="reference.parquet"
    )
    async with world() as w, trio.open_nursery() as nursery:
        write_reference(w.base / "reference.parquet")
        hashing = collector("a", columns={"hash": {"user": "salt", "email": "salt"}})
        supervisor = await start(nursery, w, path, service(hashing, follower))
        await settled()
        w.workers.row_problems = [Problem(("where", "user"), "the reference has numbers there")]
        service(collector("a", columns={"hash": {"email": "salt"}}), follower).save(path)
        with pytest.raises(ConfigError, match=r"collectors.f.where.user .*: the reference has numbers there"):
            await supervisor.reload()
        nursery.cancel_scope.cancel()


async def test_an_edit_that_no_worker_can_check_is_not_taken_yet(world, path, monkeypatch):
    async def check(_):
        await trio.lowlevel.checkpoint()
        raise EvaluationError("the worker process died")

    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service())
        with monkeypatch.context() as patch:
            patch.setattr(w.workers, "check", check)
            service(collector("a")).save(path)
            await supervisor.edits.try_reload()
            assert (state(supervisor).error, states(supervisor)) == ("the worker process died", {})
        await supervisor.edits.try_reload()
        assert (state(supervisor).error, list(states(supervisor))) == ("", ["a"])
        nursery.cancel_scope.cancel()


async def test_a_collector_that_is_taken_out_is_retired_and_comes_back_with_its_rows(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a"), collector("b")))
        await w.post(3, "a")
        w.journal.waiting("a").accepted_whole = 2
        service(collector("b")).save(path)
        await supervisor.reload()
        assert states(supervisor)["a"] == "retired"
        statuses = supervisor.service_status().collectors
        assert [(one.rows_waiting, one.rows_accepted) for one in statuses] == [(0, 0), (3, 5)]
        with pytest.raises(UnknownCollector):
            supervisor.pipeline("a")
        service(collector("b"), collector("a", rows_trigger(3))).save(path)
        await supervisor.reload()
        await settled()
        assert (states(supervisor)["a"], w.workspace.rows) == ("waiting", [[0, 1, 2]])
        nursery.cancel_scope.cancel()


async def test_a_retired_collector_can_be_deleted(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service())
        await w.post(3, "a")
        assert states(supervisor) == {"a": "retired"}
        assert await supervisor.delete("a") == 3
        assert states(supervisor) == {}
        with pytest.raises(UnknownCollector):
            await supervisor.delete("a")
        nursery.cancel_scope.cancel()


async def test_settings_are_taken_by_those_that_run_on_and_what_cannot_be_is_named(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a")))
        pipeline = supervisor.pipeline("a")
        service(collector("a"), spill_rows=2, data_dir="elsewhere").save(path)
        changes = await supervisor.reload()
        assert (changes.settings, changes.needs_restart) == (("spill_rows",), ("data_dir",))
        assert state(supervisor).needs_restart == ("data_dir",)
        await w.post(1, "a")
        await w.post(1, "a")
        await w.post(1, "a")
        await settled()
        assert supervisor.pipeline("a") is pipeline
        assert list((w.data_dir.path / "parts").iterdir()) != []
        nursery.cancel_scope.cancel()


async def test_an_edit_comes_on_top_of_what_clients_changed_without_autosave(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a"), autosave=False))
        await supervisor.put(collector("by-client"))
        service(collector("a", rows_trigger(2)), autosave=False).save(path)
        assert (await supervisor.reload()).changed == ("a",)
        assert list(states(supervisor)) == ["a", "by-client"]
        nursery.cancel_scope.cancel()


async def test_a_file_that_is_edited_while_it_is_checked_is_checked_again(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service())
        check = w.workers.check

        async def edit_and_check(config):
            service(collector("later")).save(path)
            return await check(config)

        w.workers.check = edit_and_check
        service(collector("earlier")).save(path)
        assert (await supervisor.reload()).added == ("later",)
        nursery.cancel_scope.cancel()


async def test_an_edit_is_refused_that_a_client_contradicts_while_it_is_checked(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service(collector("a"), autosave=False))
        check = w.workers.check

        async def follow_and_check(config):
            await supervisor.put(collector("f", events_from="a"))
            return await check(config)

        w.workers.check = follow_and_check
        service(collector("b"), autosave=False).save(path)
        with pytest.raises(ConfigError, match=r"f.events_from .*: there is no collector 'a'"):
            await supervisor.reload()
        assert list(states(supervisor)) == ["a", "f"]
        nursery.cancel_scope.cancel()


async def test_edits_are_watched_for(world, path):
    async with world() as w, trio.open_nursery() as nursery:
        supervisor = await start(nursery, w, path, service())
        nursery.start_soon(supervisor.edits.watch)
        service(collector("a")).save(path)
        with trio.fail_after(PATIENCE):
            while not states(supervisor):  # noqa: ASYNC110  (a thread is waited for)
                await trio.sleep(0.01)
        path.write_text("{")
        with trio.fail_after(PATIENCE):
            while not state(supervisor).error:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert list(states(supervisor)) == ["a"]
        nursery.cancel_scope.cancel()
