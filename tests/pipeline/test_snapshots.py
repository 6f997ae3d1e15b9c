"""Several snapshots of a batch: each is delivered once, wherever that is cut off; one that fails costs only itself."""

import json

import pytest
import trio
from worlds import FakeWorkspace, collector, delivered, rows_trigger, running, settled, states

from collector.errors import DeliveryError, NoRowsMatched, SnapshotRejected
from collector.pipeline.snapshots import kept_outcome, segments_of
from collector.status.segments import segment_words

CONFIG = {"trigger": rows_trigger(2), "segments": {"column": "n", "values": ["de", "fr"]}}
BAD = {"dataset_drift": True}
FAILED = {"ok": False, "error": "ValueError: no column", "traceback": "Traceback: ..."}


async def kinds_of(world, batch):
    """Return the state of each of a batch's snapshots, by segment."""
    found = [one for name in ("", "de", "fr") for one in await world.journal.snapshots("main", 9, segment=name)]
    return {one.segment: one.state for one in found if one.batch == batch}


async def test_the_whole_and_each_segment_are_delivered_in_their_order_and_known(world):
    async with world() as w:
        w.workers.segments = {"de": {}, "fr": BAD}
        pipeline = w.pipeline(collector(**CONFIG))
        async with running(pipeline):
            await w.post(2)
            await delivered(w, 1)
            status = pipeline.status()
        [batch] = await w.journal.batches("main", "delivered")
        assert w.workspace.rows == [[0, 1], ["de", 0, 1], ["fr", 0, 1]]
        assert [name for name, _ in w.workspace.taken] == [batch.id, f"{batch.id}-de", f"{batch.id}-fr"]
        assert await kinds_of(w, batch.id) == dict.fromkeys(("", "de", "fr"), "delivered")
        told = status.last_snapshot["by_segment"]
        assert (told["names"], told["skipped"], list(told["bad"])) == (["de", "fr"], ["small"], ["fr"])
        assert segment_words(told) == "1 of 2 segments is bad: fr (1 of 4 columns drifted (age 0.31 > 0.1))"
        assert segments_of(batch) == ["de", "fr", "small"]
        assert w.workers.segments_shown == [["de", "fr", "small"]]


async def test_a_segment_whose_report_failed_is_told_and_the_others_are_delivered(world):
    async with world() as w:
        w.workers.segments = {"de": FAILED, "fr": {}}
        pipeline = w.pipeline(collector(**CONFIG))
        async with running(pipeline):
            await w.post(2)
            await delivered(w, 1)
            assert pipeline.counts.failed_segments == 1
        [batch] = await w.journal.batches("main", "delivered")
        assert w.workspace.rows == [[0, 1], ["fr", 0, 1]]
        assert await kinds_of(w, batch.id) == {"": "delivered", "de": "failed", "fr": "delivered"}
        [entry] = [one for one in await w.journal.logs("main") if not one["ok"]]
        assert (entry["segment"], entry["error"]) == ("de", "Error running report: ValueError: no column")


async def test_a_segment_that_the_workspace_rejects_costs_only_that_one(world):
    async with world() as w:
        w.workers.segments = {"de": {}, "fr": {}}
        workspace = Rejecting("-de")
        async with running(w.pipeline(collector(**CONFIG), workspaces=workspace)):
            await w.post(2)
            await settled()
            with trio.fail_after(60):
                while not (done := await w.journal.batches("main", "delivered")):
                    await settled()
        assert await kinds_of(w, done[0].id) == {"": "delivered", "de": "rejected", "fr": "delivered"}
        assert [name for name, _ in workspace.taken] == [done[0].id, f"{done[0].id}-fr"]


async def test_a_batch_whose_whole_is_rejected_is_kept_with_all_of_its_segments(world):
    async with world() as w:
        w.workers.segments = {"de": {}}
        w.workspace.failures = [SnapshotRejected("400")]
        async with running(w.pipeline(collector(**CONFIG))):
            await w.post(2)
            await settled()
        [batch] = await w.journal.batches("main", "failed")
        assert (w.workspace.taken, await kinds_of(w, batch.id)) == ([], {"": "rejected", "de": "rejected"})


class Rejecting(FakeWorkspace):
    """Rejects snapshots whose ids end in a text."""

    def __init__(self, ending):
        super().__init__()
        self.ending = ending

    async def deliver(self, outgoing, progress):
        if outgoing.id.endswith(self.ending):
            raise SnapshotRejected("400")
        await super().deliver(outgoing, progress)


class Cut(FakeWorkspace):
    """Is cut off by the end of the process after so many deliveries, before or after the last one arrives."""

    def __init__(self, count, *, arrives):
        super().__init__()
        self.count, self.arrives = count, arrives

    async def deliver(self, outgoing, progress):
        if len(self.taken) < self.count:
            await super().deliver(outgoing, progress)
            return
        if self.arrives:
            await super().deliver(outgoing, progress)
        await trio.sleep_forever()


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2])
async def test_an_end_between_two_deliveries_loses_and_doubles_none(world, count, arrives):
    async with world() as w:
        w.workers.segments = {"de": {}, "fr": {}}
        cut = Cut(count, arrives=arrives)
        async with running(w.pipeline(collector(**CONFIG), workspaces=cut)):
            await w.post(2)
            await settled()
        assert await states(w) == ["evaluated"]
        w.workspace.taken = cut.taken
        async with running(w.pipeline(collector(**CONFIG))):
            await delivered(w, 1)
        [batch] = await w.journal.batches("main", "delivered")
        assert [name for name, _ in w.workspace.taken] == [batch.id, f"{batch.id}-de", f"{batch.id}-fr"]
        assert w.workspace.tries[0][2] == arrives, "it looks first where it can't know"


async def test_a_damaged_snapshot_of_a_segment_is_made_again_and_what_arrived_is_not_sent_again(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.segments = {"de": {"checksum": 0}, "fr": {}}
        w.workspace.hold = trio.Event()
        async with running(w.pipeline(collector(**CONFIG))):
            await w.post(2)
            await settled()
            w.workers.segments = {"de": {}, "fr": {}}
            w.workspace.hold.set()
            await delivered(w, 1)
        [batch] = await w.journal.batches("main", "delivered")
        assert [name for name, _ in w.workspace.taken] == [batch.id, f"{batch.id}-de", f"{batch.id}-fr"]


async def test_a_workspace_that_is_away_gets_the_rest_when_it_is_back(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.segments = {"de": {}, "fr": {}}
        async with running(w.pipeline(collector(**CONFIG))):
            w.workspace.lost = [DeliveryError("cut", is_ambiguous=True)]
            await w.post(2)
            await delivered(w, 1)
        assert w.workspace.rows == [[0, 1], ["de", 0, 1], ["fr", 0, 1]]


async def test_a_batch_without_a_row_to_report_counts_as_delivered_and_is_told_as_empty(world):
    async with world() as w:
        w.workers.failures = [NoRowsMatched(2, ["Column 'plan' of `where` is not in the batch: no row meets it."])]
        pipeline = w.pipeline(collector(trigger=rows_trigger(2), where={"plan": {"eq": "pro"}}))
        async with running(pipeline):
            await w.post(2)
            await settled()
            status = pipeline.status()
        [batch] = await w.journal.batches("main", "delivered")
        assert (w.workspace.tries, status.failed, status.outbox, status.bytes_buffered) == ([], 0, 0, 0)
        [snapshot] = await w.journal.snapshots("main", 9)
        assert (snapshot.batch, snapshot.state, snapshot.rows) == (batch.id, "empty", 2)
        assert (await w.journal.snapshots("main", 9, with_failed=False), status.last_snapshot) == ([], {})
        [entry] = await w.journal.logs("main")
        assert (entry["ok"], entry["matched_rows"], len(entry["notes"])) == (True, 0, 2)
        assert pipeline.counts.evaluations["empty"] == 1


async def test_where_that_does_not_fit_the_reference_keeps_events_until_it_is_mended(world, autojump_clock):
    from worlds import write_reference

    from collector.errors import Problem
    from collector.pipeline.evaluating import REFERENCE_INTERVAL

    async with world(autojump_clock) as w:
        write_reference(w.base / "reference.parquet")
        w.workers.row_problems = [Problem(("where", "plan"), "the reference has no column 'plan'")]
        where = {"plan": {"eq": "pro"}}
        pipeline = w.pipeline(collector(trigger=rows_trigger(2), where=where, reference_path="reference.parquet"))
        async with running(pipeline):
            await w.post(2)
            await settled()
            assert pipeline.status().problems == ("where.plan: the reference has no column 'plan'",)
            w.workers.row_problems = []
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await settled()
            assert w.workspace.rows == [[0, 1]]
        assert w.workers.rows_checked[-1] == (w.base / "reference.parquet", where, None)


def test_an_outcome_keeps_of_segments_what_their_delivery_needs_and_what_was_delivered():
    outcome = {"ok": True, "segments": [{"ok": True, "segment": "de", "file": "f", "findings": {}, "notes": []}]}
    done = {"is_done": True, "checksum": 5, "has_plots": False}
    before = {"progress": {"snapshot_id": "x"}, "segments": [{"segment": "de", "progress": done}]}
    kept = kept_outcome(outcome, before)
    assert kept["segments"] == [{"ok": True, "segment": "de", "file": "f", "progress": {"is_done": True}}]
    assert kept["progress"] == {"snapshot_id": "x"}
    assert kept_outcome(outcome, {})["segments"] == [{"ok": True, "segment": "de", "file": "f"}]
    assert json.dumps(kept)
