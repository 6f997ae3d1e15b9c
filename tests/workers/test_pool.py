"""Real worker processes, which run tests/remote.py where the service has them run Evidently."""

import json
import multiprocessing
import os
import resource
import signal
from contextlib import suppress
from functools import partial

import pyarrow.parquet as pq
import pytest
import trio
import trio.testing
from disks import append
from machine import PATIENCE
from worlds import collector, frame_of

from collector.errors import BadBody, EvaluationError, FilesDamaged, OutOfFiles, Problem, StorageError
from collector.formats.bounds import NO_BOUNDS
from collector.formats.stored import StoredBody
from collector.store.data_dir import DataDir
from collector.store.journal import open_journal
from collector.workers import pool as module
from collector.workers.environment import names_of_secrets
from collector.workers.pool import open_workers

# Bytes that a process may take; what the functions here do takes a tenth.
MEMORY = 2 * 10**9


@pytest.fixture(autouse=True)
def remote(monkeypatch):
    monkeypatch.setattr(module, "_EVALUATION", "remote:")


async def begun(mark):
    """Wait for the file that a remote function makes; real processes keep real time."""
    with trio.fail_after(PATIENCE):
        while not mark.exists() or not mark.read_text(encoding="utf-8"):  # noqa: ASYNC110  (another process makes it)
            await trio.sleep(0.02)
    return int(mark.read_text(encoding="utf-8"))


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_function_is_called_by_name_in_another_process():
    async with open_workers(1, MEMORY) as workers:
        result = await workers.evaluate({"do": "well"})
    assert result["pid"] != os.getpid()


async def test_workers_send_no_telemetry(monkeypatch):
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    async with open_workers(1, MEMORY) as workers:
        assert (await workers.evaluate({"do": "well"}))["telemetry"] == "1"


async def test_who_decided_about_telemetry_is_left_with_it(monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    async with open_workers(1, MEMORY) as workers:
        assert (await workers.evaluate({"do": "well"}))["telemetry"] == "0"


async def test_a_report_that_a_client_posted_is_computed_without_the_operators_secrets(monkeypatch):
    """Whom its options named was sent the operator's key."""
    names = {"OPENAI_API_KEY", "SHOWN_TOKEN", "EVIDENTLY_COLLECTOR_SECRET", "LEFT_ALONE"}
    for name in names:
        monkeypatch.setenv(name, "x")
    known = {}
    async with open_workers(1, MEMORY, ("SHOWN_TOKEN",)) as workers:
        for is_posted in (False, True):
            done = await workers.evaluate({"do": "environment", "is_posted": is_posted})
            known[is_posted] = names & set(done["names"])
    assert known == {False: {"OPENAI_API_KEY", "SHOWN_TOKEN", "LEFT_ALONE"}, True: {"SHOWN_TOKEN", "LEFT_ALONE"}}


async def test_where_there_are_no_secrets_posted_reports_need_no_process_of_their_own(monkeypatch):
    for name in names_of_secrets(os.environ, ()):
        monkeypatch.delenv(name)
    async with open_workers(1, MEMORY) as workers:
        pids = [(await workers.evaluate({"do": "well", "is_posted": posted}))["pid"] for posted in (False, True)]
    assert pids[0] == pids[1]


async def test_warm_up_tells_evidentlys_version():
    async with open_workers(1, MEMORY) as workers:
        await workers.warm_up()
        assert workers.evidently_version == "0.0.test"


async def test_that_no_process_can_be_started_for_want_of_files_is_told_as_that():
    """As an OSError it ended the service."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with open_workers(1, MEMORY) as workers:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            with pytest.raises(OutOfFiles):
                await workers.warm_up()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await workers.warm_up()
        assert workers.evidently_version == "0.0.test"


@pytest.mark.parametrize(("count", "processes"), [(1, 1), (2, 2), (5, 2)])
async def test_a_second_process_for_reports_begins_once_the_first_is_ready(count, processes):
    async with open_workers(count, MEMORY) as workers:
        await workers.evaluate({"do": "well"})
        for _ in range(2):  # the second time there is nothing to do
            await workers.warm_up_second()
            assert len(multiprocessing.active_children()) == processes


async def test_the_second_process_takes_the_place_of_a_report_while_it_loads():
    """Else a report that comes meanwhile would begin a third."""
    async with open_workers(2, MEMORY) as workers:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.warm_up_second)
            await trio.testing.wait_all_tasks_blocked()
            assert workers.reports.available_tokens == 1
        assert workers.reports.available_tokens == 2


async def test_problems_come_back_as_values():
    config = collector(column_mapping={"target": "y"})
    async with open_workers(1, MEMORY) as workers:
        (problem,) = await workers.check(config)
    assert problem.path == ("report_config", "metrics", 0)
    assert problem.message.startswith("[['DataDriftPreset'], None, {'target': 'y'}] in ")


async def test_a_missing_reference_is_a_problem(tmp_path):
    async with open_workers(1, MEMORY) as workers:
        for field in (("reference_path",), ("additional_data", "current_train_data")):
            assert await workers.check_table(tmp_path / "no", field) == [Problem(field, f"no file {tmp_path / 'no'}")]


async def test_a_report_that_raised_is_an_error_with_its_traceback():
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(EvaluationError, match="ValueError: bad column") as caught:
            await workers.evaluate({"do": "fail"})
    assert caught.value.detail == "Traceback ..."


async def test_a_process_that_dies_is_an_error_and_the_next_call_gets_another():
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(EvaluationError, match="the worker process died"):
            await workers.evaluate({"do": "die"})
        assert (await workers.evaluate({"do": "well"}))["ok"]
        assert workers.ended == {"died": 1, "cut_off": 0}


async def test_a_report_that_runs_out_of_memory_is_an_error():
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(EvaluationError, match="out of memory"):
            await workers.evaluate({"do": "memory"})


async def test_a_report_that_exits_does_not_end_the_service():
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(EvaluationError):
            await workers.evaluate({"do": "exit"})


async def test_cancelling_kills_the_process(tmp_path):
    async with open_workers(1, MEMORY) as workers:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workers.evaluate, {"do": "hang", "mark": str(tmp_path / "mark")})
            pid = await begun(tmp_path / "mark")
            nursery.cancel_scope.cancel()
        assert not is_alive(pid)
        assert (await workers.evaluate({"do": "well"}))["pid"] != pid
        assert workers.ended == {"died": 0, "cut_off": 1}


async def test_a_check_does_not_wait_behind_reports(tmp_path):
    async with open_workers(1, MEMORY) as workers, trio.open_nursery() as nursery:
        nursery.start_soon(workers.evaluate, {"do": "hang", "mark": str(tmp_path / "mark")})
        await begun(tmp_path / "mark")
        with trio.fail_after(PATIENCE):
            assert await workers.check(collector())
        nursery.cancel_scope.cancel()


async def test_a_check_does_not_cut_off_a_process_that_takes_long_to_load(monkeypatch):
    """The next check would begin it anew, and a machine that is slow enough would never have one."""
    monkeypatch.setattr(module, "CHECK_TIMEOUT", 1.0)
    monkeypatch.setenv("SECONDS_TO_LOAD", "2")
    async with open_workers(1, MEMORY) as workers:
        assert await workers.check(collector())
        assert workers.ended == {"died": 0, "cut_off": 0}


@pytest.mark.parametrize("grace", [PATIENCE, 0.0], ids=["ends soon", "takes too long"])
async def test_a_check_that_is_cancelled_may_end_by_itself_and_leave_its_process_to_the_next(
    tmp_path, monkeypatch, grace
):
    """A collector that is deleted, or a client that hangs up, would have Evidently loaded again: 4 to 13 s."""
    monkeypatch.setattr(module, "CHECK_GRACE", grace)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    async with open_workers(1, MEMORY) as workers:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(workers.check_table, pipe, ("reference_path",))
                with await trio.to_thread.run_sync(pipe.open, "wb"):  # once the check reads
                    nursery.cancel_scope.cancel()
                    with trio.CancelScope(shield=True):
                        while not grace and not workers.ended["cut_off"]:  # noqa: ASYNC110  (another task counts it)
                            await trio.sleep(0.01)
                        await trio.testing.wait_all_tasks_blocked()
        assert workers.ended == {"died": 0, "cut_off": int(not grace)}


async def evaluate(workers, job):
    async with workers.reports:  # as a pipeline does
        await workers.evaluate(job)


async def test_no_more_reports_run_at_once_than_the_config_says(tmp_path):
    async with open_workers(2, MEMORY) as workers, trio.open_nursery() as nursery:
        marks = [tmp_path / str(number) for number in range(3)]
        for mark in marks[:2]:
            nursery.start_soon(evaluate, workers, {"do": "hang", "mark": str(mark)})
            await begun(mark)
        nursery.start_soon(evaluate, workers, {"do": "hang", "mark": str(marks[2])})
        await workers.check(collector())  # there and back in a process: time for the third to begin, if it did
        assert not marks[2].exists()
        nursery.cancel_scope.cancel()


async def test_an_error_of_the_disk_comes_through_as_it_is(tmp_path):
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(FileNotFoundError, match="/proc/workspace"):
            await workers.write_to_directory(delivery(tmp_path, "/proc/workspace"))


async def test_evidently_is_asked_for_the_file_of_a_new_project_alone(tmp_path):
    """Each delivery waited for reports, or began a process more with Evidently."""
    async with open_workers(1, MEMORY) as workers:
        evaluating = (await workers.evaluate({"do": "well"}))["pid"]
        for _ in range(2):
            await workers.write_to_directory(delivery(tmp_path, tmp_path / "w"))
        [project] = (tmp_path / "w").iterdir()
        assert json.loads((project / "metadata.json").read_bytes())["written_by"] == evaluating
        assert [one.read_text() for one in (project / "snapshots").iterdir()] == ['{"report": {}}']
        assert await workers.generations_in(tmp_path / "w") == {"modern"}


def delivery(tmp_path, directory):
    (tmp_path / "made.json").write_text('{"report": {}}')
    named = {"directory": str(directory), "generation": "modern", "project_id": None, "project_name": "shop"}
    snapshot = {"snapshot_path": str(tmp_path / "made.json"), "snapshot_id": "one", "replaces": []}
    return {"collector": "main", **named, **snapshot}


async def test_files_that_cannot_be_read_are_named():
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(FilesDamaged, match=r"a\.parquet, b\.parquet") as caught:
            await workers.evaluate({"do": "damage"})
    assert caught.value.paths == ("a.parquet", "b.parquet")


async def test_a_disk_that_is_full_is_no_failure_of_the_batch(small_disk):
    """Of a snapshot, a part and a reference; no scratch stays behind."""
    (small_disk / "ballast").write_bytes(bytes(1024 * 1024))
    async with open_journal(DataDir(small_disk.parent)) as journal, open_workers(1, MEMORY) as workers:
        await append(journal, "main", frame_of([1]))
        run = await journal.next_run("main", None, 100, 10**6)
        for call in (
            partial(workers.evaluate, {"do": "full", "snapshot_path": str(small_disk / "a.json")}),
            partial(workers.write_part, small_disk.parent, run, small_disk / "a.parquet", "a"),
            partial(workers.write_reference, frame_of([1]), small_disk / "b.parquet"),
        ):
            with pytest.raises(StorageError, match=f"the disk is full .*; make room in {small_disk}"):
                await call()
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


async def test_snapshots_are_changed_in_place(tmp_path):
    async with open_workers(1, MEMORY) as workers:
        assert await workers.strip_widgets(tmp_path / "a.json") == 1
        assert await workers.link_datasets(tmp_path / "b.json", {"current": "1"}) == 2
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "stripped"
    assert (tmp_path / "b.json").read_text(encoding="utf-8") == "{'current': '1'}"


async def test_a_snapshot_without_plots_to_leave_out_is_a_value_error(tmp_path):
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(ValueError, match="a legacy snapshot has no widgets"):
            await workers.strip_widgets(tmp_path / "legacy.json")


async def test_frames_become_a_part_in_a_light_process(tmp_path):
    async with open_journal(DataDir(tmp_path)) as journal, open_workers(1, MEMORY) as workers:
        await append(journal, "main", frame_of([1, 2]))
        await append(journal, "main", frame_of([3]))
        run = await journal.next_run("main", None, 100, 10**6)
        part = await workers.write_part(tmp_path, run, tmp_path / "a.parquet", "parts/a.parquet")
    assert (part.path, part.rows) == ("parts/a.parquet", 3)
    assert pq.read_table(tmp_path / "a.parquet")["n"].to_pylist() == [1, 2, 3]


async def test_a_reference_is_written_as_parquet(tmp_path):
    async with open_workers(1, MEMORY) as workers:
        await workers.write_reference(frame_of([4, 5]), tmp_path / "r.parquet")
    assert pq.read_table(tmp_path / "r.parquet")["n"].to_pylist() == [4, 5]


async def test_a_rehearsal_has_a_process_of_its_own_that_ends_once_there_is_nothing_to_do(monkeypatch):
    """No batch waits for one, and the service holds its memory no longer than it takes."""
    monkeypatch.setattr(module, "IDLE_TIMEOUT", 0.1)
    async with open_workers(1, MEMORY) as workers:
        heavy = (await workers.evaluate({"do": "well"}))["pid"]
        pid, niceness = map(int, (await workers.rehearse({}, is_aside=True))["failed"])
        assert (pid != heavy, niceness) == (True, 19)
        with trio.fail_after(PATIENCE):
            while is_alive(pid):
                multiprocessing.active_children()  # reaps it
                await trio.sleep(0.02)
        again, _ = map(int, (await workers.rehearse({}, is_aside=True))["failed"])
        assert again not in {pid, heavy}


def stop_all():
    """Stop this process's workers where they are, as a debugger or a full memory does; who waits, waits for ever."""
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGSTOP)


async def insist(call):
    """Have a call made again that was too slow: on a busy machine, what takes a moment may take seconds."""
    with trio.fail_after(PATIENCE):
        while True:
            with suppress(EvaluationError, trio.TooSlowError):
                return await call()


async def test_a_body_is_checked_though_the_process_that_checks_them_is_stopped(tmp_path, monkeypatch):
    body = StoredBody(tmp_path / "body", 0, 13)
    body.path.write_text('{"a": [1, 2]}', encoding="utf-8")
    async with open_workers(1, MEMORY) as workers:
        assert await workers.check_body("json", body, NO_BOUNDS) == (2, ["a"])
        monkeypatch.setattr(module, "BODY_TIMEOUT", 1)
        stop_all()
        assert await insist(partial(workers.check_body, "json", body, NO_BOUNDS)) == (2, ["a"])
        assert workers.ended["cut_off"]


async def test_a_body_whose_check_never_ends_is_not_kept_and_may_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BODY_TIMEOUT", 0.2)
    os.mkfifo(tmp_path / "body")
    async with open_workers(1, MEMORY) as workers:
        with pytest.raises(EvaluationError, match="could not be checked in 0 s; nothing was kept, try again"):
            await workers.check_body("json", StoredBody(tmp_path / "body", 0, 1), NO_BOUNDS)


async def test_a_body_by_which_the_process_ends_is_refused_and_the_next_is_checked(monkeypatch):
    """Who reads Arrow or parquet believes what they say of themselves; so the daemon never does."""
    async with open_workers(1, MEMORY) as workers:
        with monkeypatch.context() as patched:
            patched.setattr(module, "_CHECK_BODY", "remote:die_of")
            with pytest.raises(BadBody, match="can't be read as arrow: the process that reads it crashes"):
                await workers.check_body("arrow", b"x", NO_BOUNDS)
        assert await workers.check_body("json", b'{"a": [1]}', NO_BOUNDS) == (1, ["a"])
        assert workers.ended["died"] == 2


async def test_a_part_is_written_though_the_process_that_writes_them_is_stopped(tmp_path, monkeypatch):
    async with open_journal(DataDir(tmp_path)) as journal, open_workers(1, MEMORY) as workers:
        await append(journal, "main", frame_of([1, 2]))
        await workers.write_reference(frame_of([0]), tmp_path / "r.parquet")
        monkeypatch.setattr(module, "PART_TIMEOUT", 1)
        stop_all()
        run = await journal.next_run("main", None, 100, 10**6)
        part = await insist(partial(workers.write_part, tmp_path, run, tmp_path / "a.parquet", "parts/a.parquet"))
    assert part.rows == 2


async def test_closing_does_not_wait_for_idle_processes():
    """Evidently takes a second to be taken down, and this one far longer; an idle worker is killed instead."""
    async with open_workers(1, MEMORY) as workers:
        pid = (await workers.evaluate({"do": "end late"}))["pid"]
        started = trio.current_time()
    assert trio.current_time() - started < PATIENCE
    assert not is_alive(pid)


async def test_an_error_that_ends_the_service_is_not_hidden_by_the_killing_of_idle_workers():
    async def fail():
        async with open_workers(1, MEMORY) as workers:
            await workers.check(collector())
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await fail()
