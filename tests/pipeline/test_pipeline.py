"""A pipeline as others see it: flush, retry, its status and its log."""

import trio
from worlds import collector, delivered, report_raised, rows_trigger, running, settled, states

from collector.config import CollectorServiceConfig
from collector.errors import DeliveryError, DeliveryRefused, SnapshotRejected

# Flush


async def test_flush_seals_what_waits_now(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            await w.post(3)
            batch = await pipeline.flush()
            await settled()
            assert (batch.rows, w.workspace.taken) == (3, [(batch.id, [0, 1, 2])])


async def test_flush_of_nothing_gives_none(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            assert await pipeline.flush() is None


async def test_flush_by_a_client_that_hangs_up_is_evaluated_all_the_same(world):
    async with world() as w:
        pipeline = w.pipeline()
        async with running(pipeline):
            await settled()
            await w.post(3)
            with trio.CancelScope() as client:
                client.cancel()
                await pipeline.flush()
            await settled()
            assert (await states(w), w.workspace.rows) == (["delivered"], [[0, 1, 2]])


async def test_retry_by_a_client_that_hangs_up_is_evaluated_all_the_same(world):
    async with world() as w:
        w.workers.failures = [report_raised()]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            mark = w.journal.mark
            with trio.CancelScope() as client:

                async def mark_and_hang_up(*args, **changes):
                    await mark(*args, **changes)
                    client.cancel()

                w.journal.mark = mark_and_hang_up
                await pipeline.retry()
            w.journal.mark = mark
            await settled()
            assert await states(w) == ["delivered"]


# What it says


async def test_the_log_has_the_originals_fields_and_ours(world, autojump_clock):
    """The original's LogEvent: type, report_id, ok, error (evidently.legacy.collector.storage)."""
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=rows_trigger(2)))):
            await w.post(2)
            await delivered(w, 1)
        uploaded, created = await w.journal.logs("main")
        ((batch_id, _),) = w.workspace.taken
        assert (created["type"], created["ok"], created["error"], created["notes"]) == ("CreateReport", True, "", [])
        assert (uploaded["type"], uploaded["ok"], uploaded["error"]) == ("UploadReport", True, "")
        for entry in (created, uploaded):
            assert (entry["report_id"], entry["batch_id"], entry["rows"]) == (batch_id, batch_id, 2)
            assert (entry["drift_share"], entry["drifted_columns"], entry["columns"]) == (0.25, 1, 4)
            assert entry["window"][0].startswith("2023-11-14T22:13:2")
            assert entry["time"].endswith("+00:00")


async def test_the_log_tells_of_a_report_that_raised(world):
    async with world() as w:
        w.workers.failures = [report_raised("ValueError: bad column")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
        (entry,) = await w.journal.logs("main")
        assert (entry["type"], entry["ok"]) == ("CreateReport", False)
        assert entry["error"] == "Error running report: ValueError: bad column"


async def test_the_log_tells_of_one_trouble_with_a_workspace_once(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("down") for _ in range(5)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        errors = [entry["error"] for entry in await w.journal.logs("main") if not entry["ok"]]
        assert errors == ["Error saving snapshot: down"]


async def test_the_log_keeps_as_many_entries_as_the_config_says(world):
    async with world() as w:
        service = CollectorServiceConfig.parse({"storage": {"max_log_events": 3}})
        async with running(w.pipeline(collector(trigger=rows_trigger(1)), service)):
            for _ in range(4):
                await w.post(1)
                await settled()
        assert [entry["type"] for entry in await w.journal.logs("main")] == [
            "UploadReport",
            "CreateReport",
            "UploadReport",
        ]


async def test_status_counts_what_waits_and_what_was_made(world):
    async with world() as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(2)))
        async with running(pipeline):
            await w.post(2)
            await settled()
            await w.post(1)
            status = pipeline.status()
            assert (status.state, status.rows_waiting, status.rows_needed) == ("waiting", 1, 2)
            assert (status.snapshots, status.sealed, status.outbox, status.failed) == (1, 0, 0, 0)
            assert status.last_snapshot["drift_share"] == 0.25


async def test_status_says_evaluating_while_a_report_runs(world):
    async with world() as w:
        w.workers.hold = trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert pipeline.status().state == "evaluating"


async def test_status_says_undelivered_while_the_workspace_is_away(world):
    async with world() as w:
        w.workspace.failures = [DeliveryRefused("no such project")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            status = pipeline.status()
            assert (status.state, status.outbox, status.last_error) == ("undelivered", 1, "no such project")


async def test_status_says_waiting_once_the_workspace_is_back(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("down")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await delivered(w, 1)
            status = pipeline.status()
            assert (status.state, status.outbox, status.last_error) == ("waiting", 0, "")


async def test_what_is_rejected_is_undelivered_no_more(world):
    """The state stayed as it was until the next batch."""
    async with world() as w:
        w.workspace.failures = [SnapshotRejected("no"), SnapshotRejected("no")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            w.workspace.hold = trio.Event()
            await w.post(1)
            await settled()
            w.workspace.hold.set()
            await settled()
            status = pipeline.status()
            assert (status.state, status.outbox, status.failed) == ("waiting", 0, 2)


async def test_a_snapshot_on_its_way_is_not_undelivered_for_a_report_that_failed_before(world):
    """An alert of 'undelivered' could fire for it."""
    async with world() as w:
        w.workers.failures, w.workspace.hold = [report_raised()], trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            for _ in range(2):
                await w.post(1)
                await settled()
            status = pipeline.status()
            assert (status.state, status.outbox, status.failed) == ("waiting", 1, 1)


async def test_a_snapshot_that_is_rejected_is_kept_under_failed_and_the_next_goes_on(world):
    async with world() as w:
        w.workspace.failures = [SnapshotRejected("no")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await w.post(1)
            await settled()
            (failed,) = await w.journal.batches("main", "failed")
        assert (failed.error, w.workspace.rows) == ("no", [[1]])
        assert [part.path.split("/")[0] for part in await w.journal.parts(failed.id)] == ["failed"]
