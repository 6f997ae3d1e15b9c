"""Reports that are tried over their own reference, before batches come."""

import pytest
import trio
from worlds import collector, rows_trigger, running, settled, write_reference

from collector.config import CollectorServiceConfig
from collector.errors import EvaluationError
from collector.pipeline.rehearsing import QUIET

TOLD = "MeanValue of 'agee' could not be computed: the reference has no column 'agee'"
SAID = f"computed over its own reference: {TOLD}"


@pytest.fixture
def reference(tmp_path):
    write_reference(tmp_path / "reference.parquet")
    return str(tmp_path / "reference.parquet")


async def test_what_a_report_will_fail_at_is_told_before_any_batch(world, autojump_clock, reference):
    """A POST and an edit took a metric of a column that nobody has, and each batch told of it from then on."""
    async with world(autojump_clock) as w:
        w.workers.rehearsal = {"failed": [TOLD], "left_out": ["NegativityLLMEval"]}
        pipeline = w.pipeline(collector(reference_path=reference))
        async with running(pipeline):
            await trio.sleep(QUIET + 1)
            await settled()
            assert pipeline.status().warnings == (SAID,)
            assert pipeline.status().problems == ()
        assert [(entry["type"], entry["notes"]) for entry in await w.journal.logs("main")] == [("CheckReport", [SAID])]
        (job,) = w.workers.rehearsed
        assert (job["reference"], job["parts"]) == (reference, [])


async def test_a_reference_is_tried_once_and_another_one_again(world, autojump_clock, reference, tmp_path):
    write_reference(tmp_path / "second.parquet")
    service, config = CollectorServiceConfig(), collector(reference_path=reference)
    async with world(autojump_clock) as w:
        w.workers.rehearsal = {"failed": [TOLD], "left_out": []}
        pipeline = w.pipeline(config)
        async with running(pipeline):
            await trio.sleep(QUIET + 1)
            pipeline.take_config(config, service)
            await trio.sleep(QUIET + 1)
            assert len(w.workers.rehearsed) == 1
            pipeline.take_config(
                config.model_copy(update={"reference_path": str(tmp_path / "second.parquet")}), service
            )
            assert pipeline.status().warnings == ()
            await trio.sleep(QUIET + 1)
            await settled()
        assert [job["reference"] for job in w.workers.rehearsed] == [reference, str(tmp_path / "second.parquet")]


async def test_a_client_that_posts_its_reference_after_its_config_has_it_tried_once(
    world, autojump_clock, reference, tmp_path
):
    write_reference(tmp_path / "second.parquet")
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(reference_path=reference))
        async with running(pipeline):
            await trio.sleep(QUIET / 2)
            second = collector(reference_path=str(tmp_path / "second.parquet"))
            pipeline.take_config(second, CollectorServiceConfig())
            await trio.sleep(QUIET * 3)
            await settled()
        assert [job["reference"] for job in w.workers.rehearsed] == [str(tmp_path / "second.parquet")]


async def test_without_a_reference_or_while_it_is_missing_nothing_is_tried(world, autojump_clock, tmp_path):
    missing = collector("b", reference_path=str(tmp_path / "late.parquet"))
    async with world(autojump_clock) as w, running(w.pipeline(), w.pipeline(missing)):
        await trio.sleep(QUIET * 3)
        await settled()
        assert w.workers.rehearsed == []
        write_reference(tmp_path / "late.parquet")
        await trio.sleep(60)
        await settled()
        assert len(w.workers.rehearsed) == 1


async def test_batches_do_not_wait_for_a_rehearsal(world, autojump_clock, reference):
    async with world(autojump_clock) as w:
        w.workers.rehearsal_seconds = 1000
        pipelines = [w.pipeline(collector(name, rows_trigger(1), reference_path=reference)) for name in ("main", "b")]
        async with running(*pipelines):
            await trio.sleep(QUIET + 1)
            await w.post(1)
            await settled()
            assert w.workspace.rows == [[0]]
            assert len(w.workers.rehearsed) == 1, "one at a time"


async def test_one_that_takes_too_long_or_ends_with_its_collector_is_let_go_of(world, autojump_clock, reference):
    async with world(autojump_clock) as w:
        w.workers.rehearsal_seconds = 1000
        async with running(w.pipeline(collector(reference_path=reference))):
            await trio.sleep(QUIET + 1)
            assert w.workers.rehearsals.borrowed_tokens == 1
        assert w.workers.rehearsals.borrowed_tokens == 0
        service = CollectorServiceConfig(evaluation_timeout=30)
        pipeline = w.pipeline(collector(reference_path=reference), service)
        async with running(pipeline):
            await trio.sleep(QUIET + 31)
            await settled()
            assert (w.workers.rehearsals.borrowed_tokens, pipeline.status().warnings) == (0, ())


async def test_a_process_that_dies_of_it_is_told_and_stops_nothing(world, autojump_clock, reference, monkeypatch):
    async def die(job, *, is_aside):
        await trio.lowlevel.checkpoint()
        raise EvaluationError("the worker process died")

    async with world(autojump_clock) as w:
        monkeypatch.setattr(w.workers, "rehearse", die)
        pipeline = w.pipeline(collector(reference_path=reference))
        async with running(pipeline):
            await trio.sleep(QUIET + 1)
            await settled()
            assert pipeline.status().warnings == ("computed over its own reference: the worker process died",)
