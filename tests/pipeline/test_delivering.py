"""Snapshots on their way to a workspace that takes them, is away, or says no."""

import zlib
from itertools import pairwise

import pytest
import trio
from worlds import FakeWorkspace, collector, delivered, rows_trigger, running, settled, states

from collector.config import CollectorServiceConfig, Retention
from collector.errors import DeliveryError, DeliveryRefused, SnapshotTooLarge
from collector.pipeline import evaluating
from collector.waiting.backoff import REFUSED_INTERVAL


async def test_batches_are_delivered_in_their_order(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("down") for _ in range(3)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            for _ in range(4):
                await w.post(1)
            await delivered(w, 4)
        assert w.workspace.rows == [[0], [1], [2], [3]]


async def test_pauses_between_tries_double_and_begin_again_after_a_success(world, autojump_clock, monkeypatch):
    monkeypatch.setattr("collector.waiting.backoff.random.uniform", lambda _low, high: high)
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("down") for _ in range(4)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
            w.workspace.failures = [DeliveryError("down")]
            await w.post(1)
            await delivered(w, 2)
        times = [at for at, *_ in w.workspace.tries]
        assert [later - earlier for earlier, later in pairwise(times[:5])] == pytest.approx([0.5, 1, 2, 4], abs=0.01)
        assert times[6] - times[5] == pytest.approx(0.5, abs=0.01)


async def test_a_workspace_that_says_no_is_asked_again_after_a_longer_pause(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryRefused("no such project")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        (first, *_), (second, *_) = w.workspace.tries
        assert second - first == pytest.approx(REFUSED_INTERVAL, abs=0.01)


async def test_a_workspace_that_names_a_pause_gets_it(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("busy", retry_after=123)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        (first, *_), (second, *_) = w.workspace.tries
        assert second - first == pytest.approx(123, abs=0.01)


async def test_a_workspace_that_never_ends_its_answer_is_given_up_and_asked_again_with_doubt(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.hold = trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)), CollectorServiceConfig(delivery_timeout=30))
        async with running(pipeline):
            await w.post(1)
            await trio.sleep(35)
            assert "took longer than 30 s" in pipeline.status().last_error
            w.workspace.hold = None
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.workspace.tries[:2]] == [False, True]


async def test_an_error_that_nobody_foresaw_is_a_matter_of_delivery(world, autojump_clock):
    """Sealing goes on, the pipeline isn't begun again, and the pauses grow."""
    async with world(autojump_clock) as w:
        w.workspace.surprises = [
            RecursionError("maximum recursion depth"),
            UnicodeError("label too long"),
            KeyError("a"),
        ]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert pipeline.status().state == "undelivered"
            assert pipeline.status().last_error.endswith(
                "can't be delivered to: RecursionError: maximum recursion depth"
            )
            await w.post(1)
            await delivered(w, 2)
        assert w.workspace.rows == [[0], [1]]
        first, second, third, last = [at for at, *_ in w.workspace.tries][:4]
        assert (last - third) > (third - second) > (second - first)


async def test_a_full_outbox_holds_evaluation_until_there_is_room(world, monkeypatch):
    monkeypatch.setattr(evaluating, "MAX_OUTBOX", 2)
    async with world() as w:
        w.workspace.hold = trio.Event()
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            for _ in range(5):
                await w.post(1)
            await settled()
            assert (len(w.workers.evaluated), pipeline.status().outbox, pipeline.status().sealed) == (2, 2, 3)
            w.workspace.hold.set()
            await settled()
        assert w.workspace.rows == [[0], [1], [2], [3], [4]]


async def test_a_full_outbox_holds_evaluation_from_the_start(world, monkeypatch):
    """After a restart, what was evaluated before counts too."""
    monkeypatch.setattr(evaluating, "MAX_OUTBOX", 1)
    async with world() as w:
        w.workspace.hold = trio.Event()
        for _ in range(2):
            await w.post(1)
        for _ in range(2):
            async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
                await settled()
        assert len(w.workers.evaluated) == 1


async def test_a_first_try_does_not_look_for_the_snapshot(world):
    async with world() as w, running(w.pipeline(collector(trigger=rows_trigger(1)))):
        await w.post(1)
        await settled()
        assert [is_doubtful for *_, is_doubtful in w.workspace.tries] == [False]


async def test_what_delivery_wants_kept_is_in_the_journal_when_it_goes_on(world):
    async with world() as w:
        w.workspace.hold = trio.Event()
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            (batch,) = await w.journal.batches("main", "evaluated")
            assert batch.outcome["progress"]["is_doubtful"]


async def test_after_a_lost_answer_the_next_try_looks_first(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.lost = [DeliveryError("read timed out", is_ambiguous=True)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.workspace.tries] == [False, True]
        assert w.workspace.rows == [[0]]


async def test_after_a_clear_no_the_next_try_need_not_look(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workspace.failures = [DeliveryError("connection refused"), DeliveryRefused("wrong secret")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.workspace.tries] == [False, False, False]


async def test_doubt_stays_through_a_clear_no(world, autojump_clock):
    """The first answer was lost: a refused connection afterwards says nothing about it."""
    async with world(autojump_clock) as w:
        w.workspace.lost = [DeliveryError("read timed out", is_ambiguous=True)]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            w.workspace.failures = [DeliveryError("connection refused")]
            await delivered(w, 1)
        assert [is_doubtful for *_, is_doubtful in w.workspace.tries] == [False, True, True]
        assert w.workspace.rows == [[0]]


async def test_after_a_crash_between_sending_and_its_answer_the_next_try_looks_first(world):
    class Hangs(FakeWorkspace):
        async def deliver(self, outgoing, progress):
            await super().deliver(outgoing, progress)
            await trio.sleep_forever()

    async with world() as w:
        config = collector(trigger=rows_trigger(1))
        hanging = Hangs()
        async with running(w.pipeline(config, workspaces=hanging)):
            await w.post(1)
            await settled()
        w.workspace.taken = hanging.taken
        async with running(w.pipeline(config)):
            await settled()
        assert [is_doubtful for *_, is_doubtful in w.workspace.tries] == [True]
        assert (w.workspace.rows, await states(w)) == ([[0]], ["delivered"])


async def test_a_snapshot_that_is_too_large_is_sent_again_without_its_plots(world):
    async with world() as w:
        w.workspace.failures = [SnapshotTooLarge("413")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
        ((batch_id, _),) = w.workspace.taken
        assert w.workers.stripped == [w.data_dir.snapshot(batch_id)]
        (uploaded,) = [one for one in await w.journal.logs("main") if one["type"] == "UploadReport"]
        assert uploaded["notes"][0].startswith("Sent without its plots")


async def test_a_legacy_snapshot_that_is_too_large_waits_and_is_shown(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.generation = "legacy"
        w.workspace.failures = [SnapshotTooLarge("413")]
        pipeline = w.pipeline(collector(trigger=rows_trigger(1)))
        async with running(pipeline):
            await w.post(1)
            await settled()
            assert pipeline.status().last_error.startswith("413; a legacy snapshot has no widgets")


async def test_after_delivery_the_newest_parts_and_snapshots_are_kept_as_the_config_says(world):
    """Also when it says less than it did: what is too much is removed at the start."""
    config = collector(trigger=rows_trigger(2))
    async with world() as w:
        for kept, posts in ((2, 3), (1, 0), (0, 1)):
            service = CollectorServiceConfig(retention=Retention(batches=kept))
            async with running(w.pipeline(config, service)):
                for _ in range(posts):
                    await w.post(2)
                    await settled()
                await settled()
            for folder in ("parts", "snapshots"):
                assert len(list((w.data_dir.path / folder).iterdir())) == kept
        assert await states(w) == ["delivered"] * 4


async def test_until_delivery_parts_and_snapshot_are_kept(world):
    async with world() as w:
        w.workspace.failures = [DeliveryError("down")]
        async with running(w.pipeline(collector(trigger=rows_trigger(2)))):
            await w.post(2)
            await settled()
            assert len(list((w.data_dir.path / "parts").iterdir())) == 1
            assert len(list((w.data_dir.path / "snapshots").iterdir())) == 1


async def test_where_each_snapshot_is_spoiled_reports_are_computed_ever_more_seldom(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.outcome = {"checksum": zlib.crc32(b"another")}
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await trio.sleep(600)
        assert 8 <= len(w.workers.evaluated) <= 30


async def test_a_snapshot_that_changed_on_disk_is_set_aside_and_its_batch_evaluated_again(world, autojump_clock):
    async with world(autojump_clock) as w:
        w.workers.outcome = {"checksum": zlib.crc32(b"[0]")}
        w.workspace.failures = [DeliveryError("away")]
        async with running(w.pipeline(collector(trigger=rows_trigger(1)))):
            await w.post(1)
            await settled()
            (batch,) = await w.journal.batches("main", "evaluated")
            w.data_dir.snapshot(batch.id).write_text("[7]", encoding="utf-8")
            await delivered(w, 1)
        assert w.workspace.rows == [[0]]
        assert w.data_dir.damaged(f"snapshot-{batch.id}.json").read_text(encoding="utf-8") == "[7]"
