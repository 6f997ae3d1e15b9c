"""Batches that are evaluated, wait for their reference, or fail."""

from collections import Counter

import pyarrow.parquet as pq
import trio
from worlds import (
    collector,
    report_raised,
    rows_trigger,
    running,
    settled,
    states,
    worker_died,
    write_reference,
)

from collector.config import CollectorServiceConfig
from collector.errors import FilesDamaged, Problem
from collector.pipeline.evaluating import MAX_ATTEMPTS, REFERENCE_INTERVAL
from collector.pipeline.jobs import make_job


def service(*ids):
    return CollectorServiceConfig(collectors={id_: collector(id_) for id_ in ids})


# Misconfigured


async def test_misconfigured_keeps_events_and_goes_on_when_mended(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.problems = [Problem(("report_config", "metrics", 0), "unknown metric")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert pipeline.status().state == "misconfigured"
            assert pipeline.status().problems == ("report_config.metrics.0: unknown metric",)
            assert await states(w) == ["sealed"]
            w.workers.problems = []
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
            assert (w.workspace.rows, pipeline.status().problems) == ([[0, 1]], ())
            assert pipeline.status().state == "waiting"


async def test_a_missing_reference_holds_evaluation_until_it_is_there(world, autojump_clock):
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(2), reference_path="reference.parquet"))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert "no file" in pipeline.status().problems[0]
            write_reference(w.base / "reference.parquet")
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
        assert w.workspace.rows == [[0, 1]]
        assert w.workers.evaluated[0]["reference"] == str(w.base / "reference.parquet")


async def test_a_reference_that_vanishes_later_holds_the_next_batch(world, autojump_clock):
    async with world(autojump_clock) as w:
        write_reference(w.base / "reference.parquet")
        pipeline = w.pipeline(collector(trigger=rows_trigger(1), reference_path="reference.parquet"))
        async with running(pipeline):
            await w.post(1)
            await settled()
            (w.base / "reference.parquet").unlink()
            await w.post(1)
            await settled()
            assert (w.workspace.rows, pipeline.status().state) == ([[0]], "misconfigured")
            write_reference(w.base / "reference.parquet")
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
        assert w.workspace.rows == [[0], [1]]


async def test_a_new_reference_is_taken_from_the_next_batch_on_and_at_once(world):
    async with world() as w:
        config = collector(trigger=rows_trigger(1), reference_path="missing.parquet")
        pipeline = w.pipeline(config)
        async with running(pipeline):
            await w.post(1)
            await settled()
            write_reference(w.base / "new.parquet")
            pipeline.take_config(config.model_copy(update={"reference_path": "new.parquet"}), CollectorServiceConfig())
            await settled()
        assert w.workers.evaluated[0]["reference"] == str(w.base / "new.parquet")


async def test_a_worker_that_dies_at_a_check_stops_nothing_else(world, autojump_clock):
    """The pipeline was begun again, its sealing and its delivery with it."""
    async with world(autojump_clock) as w:
        w.workers.check_failures = [worker_died()] * 2
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert (pipeline.status().problems, await states(w)) == (("the worker process died",), ["sealed"])
            await trio.sleep(2 * REFERENCE_INTERVAL + 1)
            await settled()
        assert w.workspace.rows == [[0]]


async def test_a_workspace_that_a_collector_would_harm_holds_its_events_until_it_is_mended(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.harm = [Problem(("api_url",), "holds legacy snapshots")]
        pipeline = w.pipeline(collector("b", rows_trigger(1)), service("a", "b", "c"))
        async with running(pipeline):
            await w.post(1, "b")
            await settled()
            assert (pipeline.status().state, pipeline.status().problems) == (
                "misconfigured",
                ("api_url: holds legacy snapshots",),
            )
            assert w.workspace.others == ["a"]  # those before it go on
            w.workspace.harm = []
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
        assert w.workspace.rows == [[0]]


# Reports that fail


async def test_a_report_that_raises_is_kept_under_failed_and_the_next_batch_goes_on(world):
    async with world() as w:
        w.workers.failures = [report_raised("ValueError: bad column")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await w.post(2)
            await settled()
        (failed,) = await w.journal.batches("main", "failed")
        folder = w.data_dir.failed(failed.id)
        assert "ValueError: bad column" in (folder / "error.txt").read_text(encoding="utf-8")
        assert "Traceback" in (folder / "error.txt").read_text(encoding="utf-8")
        assert [pq.read_table(part)["n"].to_pylist() for part in folder.glob("*.parquet")] == [[0, 1]]
        assert (failed.error, failed.attempts, w.workspace.rows) == ("ValueError: bad column", 1, [[2, 3]])
        assert pipeline.status().failed == 1


async def test_where_batches_come_faster_than_reports_are_computed_each_collector_has_its_turn(world, autojump_clock):
    """Of 500 collectors on two processors none waits longer than the others, however many batches it has."""
    async with world(autojump_clock) as w:
        w.workers.seconds, w.workers.hold = 10.0, trio.Event()
        ids = [f"collector-{number}" for number in range(7)]
        async with running(*(w.pipeline(collector(id_, rows_trigger(1))) for id_ in ids)):
            for id_ in ids[:1] * 5 + ids * 3:
                await w.post(1, id_)
            await settled()
            w.workers.hold.set()
            await trio.sleep(len(ids) * 8 * w.workers.seconds)
        turns = Counter(job["collector"] for job in w.workers.evaluated[: 3 * len(ids)])
        assert all(2 <= turns[id_] <= 4 for id_ in ids)  # a little more or less, by who is first in line again


async def test_a_job_says_what_the_collector_wants_of_its_report(world):
    wanted = {"sample": {"rows": 5}, "cast": "all", "cache_reference": False}
    async with world() as w:
        for id_, fields in (("main", {}), ("other", wanted)):
            async with running(w.pipeline(collector(id_, trigger=rows_trigger(1), **fields))):
                await w.post(1, id_)
                await settled()
        jobs = [{name: job[name] for name in wanted} for job in w.workers.evaluated]
        assert jobs == [{"sample": None, "cast": "untyped", "cache_reference": True}, wanted]


async def test_a_batch_gets_the_window_that_its_events_tell(world):
    """It is kept with the batch and with its snapshot, and a second evaluation keeps it."""
    async with world() as w:
        w.workers.outcome = {"window": [100.0, 200.0]}
        pipeline = w.pipeline(collector(trigger=rows_trigger(1), timestamp_column="ts"))
        async with running(pipeline):
            await w.post(1)
            await settled()
            [entry, *_] = await w.journal.logs("main")
        assert w.workers.evaluated[0]["timestamp_column"] == "ts"
        [batch] = await w.journal.batches("main", "delivered")
        [snapshot] = await w.journal.snapshots("main", 1)
        assert batch.window == (snapshot.opened, snapshot.sealed) == (100.0, 200.0)
        assert entry["window"] == ["1970-01-01T00:01:40.000+00:00", "1970-01-01T00:03:20.000+00:00"]
        job = make_job(pipeline.config, w.base, batch, (), w.base)
        assert (job["timestamp_column"], job["sealed"]) == (None, "1970-01-01T00:03:20.000+00:00")


async def test_additional_data_that_is_not_there_is_waited_for_and_then_named_in_the_job(world, autojump_clock):
    async with world(autojump_clock) as w:
        config = collector(trigger=rows_trigger(1), additional_data={"current_train_data": "train.parquet"})
        async with running(pipeline := w.pipeline(config)):
            await w.post(1)
            await settled()
            path = w.data_dir.path.parent / "train.parquet"
            assert pipeline.status().problems == (f"additional_data.current_train_data: no file {path}",)
            path.touch()
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
        assert [job["additional_data"] for job in w.workers.evaluated] == [{"current_train_data": str(path)}]


async def test_the_journal_knows_where_a_failed_batch_lies(world):
    async with world() as w:
        w.workers.failures = [report_raised()]
        async with running(w.pipeline(collector(trigger=rows_trigger(2)))):
            await w.post(2)
            await settled()
        (failed,) = await w.journal.batches("main", "failed")
        (part,) = await w.journal.parts(failed.id)
        assert part.path.startswith(f"failed/{failed.id}/")
        assert (w.data_dir.path / part.path).exists()
        assert list((w.data_dir.path / "parts").iterdir()) == []


async def test_a_failed_batch_that_is_retried_is_delivered_and_lies_with_the_others(world):
    async with world() as w:
        w.workers.failures = [report_raised()]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            (failed,) = await w.journal.batches("main", "failed")
            assert [batch.id for batch in await pipeline.retry()] == [failed.id]
            await settled()
        assert w.workspace.rows == [[0, 1]]
        assert not w.data_dir.failed(failed.id).exists()
        assert [part.path.split("/")[0] for part in await w.journal.parts(failed.id)] == ["parts"]
        assert len(list((w.data_dir.path / "parts").iterdir())) == 1
        assert pipeline.status().failed == 0


async def test_a_worker_that_dies_is_tried_again_a_limited_number_of_times(world):
    async with world() as w:
        w.workers.failures = [worker_died() for _ in range(MAX_ATTEMPTS)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            assert len(w.workers.evaluated) == MAX_ATTEMPTS
            assert await states(w) == ["failed"]


async def test_a_worker_that_dies_once_loses_nothing(world):
    async with world() as w:
        w.workers.failures = [worker_died()]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
        assert (w.workspace.rows, w.workers.failures) == ([[0]], [])


async def test_a_report_that_takes_too_long_is_tried_again_and_then_given_up(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.seconds = 31
        start = trio.current_time()
        async with running(
            w.pipeline(collector(trigger=rows_trigger(1)), CollectorServiceConfig(evaluation_timeout=30))
        ):
            await w.post(1)
            await trio.sleep(30 * MAX_ATTEMPTS + 1)
            await settled()
            (failed,) = await w.journal.batches("main", "failed")
        assert (failed.attempts, failed.error) == (MAX_ATTEMPTS, "took longer than 30 s")
        assert trio.current_time() - start >= 30 * MAX_ATTEMPTS


async def test_the_start_of_a_new_worker_is_not_taken_for_taking_long(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.seconds = 70
        w.workers.starting_time = 60
        service = CollectorServiceConfig(evaluation_timeout=30)
        async with running(w.pipeline(collector(trigger=rows_trigger(1)), service)):
            await w.post(1)
            await trio.sleep(71)
            await settled()
        assert (len(w.workers.evaluated), w.workspace.rows) == (1, [[0]])


async def test_waiting_for_the_reports_of_others_is_not_taken_for_taking_long(world, autojump_clock):
    """Two workers are held for longer than a report may take; the batch that waits is evaluated all the same."""
    async with world(autojump_clock) as w, trio.open_nursery() as others:
        for _ in range(2):
            others.start_soon(hold, w.workers.reports, 31)
        service = CollectorServiceConfig(evaluation_timeout=30)
        async with running(w.pipeline(collector(trigger=rows_trigger(1)), service)):
            await w.post(1)
            await trio.sleep(32)
            await settled()
        assert w.workspace.rows == [[0]]


async def hold(limiter, seconds):
    async with limiter:
        await trio.sleep(seconds)


async def test_reports_that_took_too_long_leave_the_others_their_workers(world, autojump_clock):
    """As many hang as there are workers; once they have been found out, they wait for each other."""
    service = CollectorServiceConfig(evaluation_timeout=30, evaluation_workers=2)
    async with world(autojump_clock) as w:
        w.workers.seconds = 1000
        hung = [w.pipeline(collector(name, rows_trigger(1)), service) for name in ("a", "b")]
        async with running(*hung, w.pipeline(collector("main", rows_trigger(1)), service)):
            await w.post(1, "a")
            await w.post(1, "b")
            await trio.sleep(31)
            w.workers.seconds = 0
            await w.post(1, "main")
            await settled()
            assert w.workspace.rows == [[2]]


async def test_attempts_are_counted_over_a_restart(world):
    """A report that kills its worker, and the service with it, isn't tried for ever."""
    async with world() as w:
        await w.post(1)
        batch = await w.journal.seal("main", "0-first")
        await w.journal.mark(batch, "sealed", attempts=MAX_ATTEMPTS - 1)
        w.workers.failures = [worker_died()]
        async with running(w.pipeline()):
            await settled()
        assert await states(w) == ["failed"]


async def test_rows_whose_part_cannot_be_written_stay_in_the_journal(world):
    async with world() as w:
        w.workers.part_failures = [worker_died() for _ in range(MAX_ATTEMPTS)]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert await states(w) == ["failed"]
            await pipeline.retry()
            await settled()
        assert w.workspace.rows == [[0, 1]]


async def test_a_damaged_part_is_set_aside_and_the_rest_is_evaluated(world):
    service = CollectorServiceConfig(spill_rows=2)
    async with world() as w:
        pipeline = w.pipeline(service=service)
        async with running(pipeline):
            for _ in range(2):
                await w.post(2)
                await settled()
            first, _ = sorted((w.data_dir.path / "parts").iterdir())
            w.workers.failures = [FilesDamaged([str(first)])]
            await pipeline.flush()
            await settled()
        assert w.workspace.rows == [[2, 3]]
        assert w.data_dir.damaged(f"part-{first.name}").exists()
        assert "2 rows are lost to the report" in (await w.journal.logs("main"))[2]["error"]


async def test_a_batch_without_a_sound_part_is_kept_under_failed(world):
    async with world() as w:
        pipeline = w.pipeline(service=CollectorServiceConfig(spill_rows=2))
        async with running(pipeline):
            await w.post(2)
            await settled()
            w.workers.failures = [FilesDamaged([str(path) for path in (w.data_dir.path / "parts").iterdir()])]
            await pipeline.flush()
            await settled()
        assert await states(w) == ["failed"]


async def test_a_reference_found_damaged_by_a_report_holds_its_batch(world, tmp_path):
    reference = tmp_path / "reference.parquet"
    write_reference(reference)
    async with world() as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(1), reference_path=str(reference)))
        async with running(pipeline):
            await settled()
            w.workers.reference_problems = [Problem(("reference_path",), "is damaged", is_damage=True)]
            w.workers.failures = [FilesDamaged([str(reference)])]
            await w.post(1)
            await settled()
            assert (await states(w), pipeline.status().state) == (["sealed"], "misconfigured")
        assert reference.exists()  # it is the user's


async def test_a_reference_outside_that_a_client_named_is_never_read(world, tmp_path):
    config = collector(trigger=rows_trigger(1), reference_path=str(tmp_path.parent / "secret.parquet"), is_posted=True)
    write_reference(tmp_path.parent / "secret.parquet")
    async with world() as w:
        pipeline = w.pipeline(config)
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert "a client named it" in pipeline.status().problems[0]
        assert (await states(w), w.workers.evaluated) == (["sealed"], [])
