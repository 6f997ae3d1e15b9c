"""Labelling: each row gets its label once, in time or not at all; and each label's fate is counted once."""

import json

import pytest
import trio
from disks import append
from worlds import PATIENCE, collector, open_world, report_raised, rows_trigger, running, settled, worker_died

from collector.config import CollectorServiceConfig, Limits, Retention
from collector.config.private import PrivateColumns
from collector.config.reference_from import ReferenceFrom
from collector.errors import NoRowsMatched
from collector.formats.frames import Frame
from collector.formats.private import hashed
from collector.store.parts import read_origin

WAIT = 1000.0


def config(**labels):
    given = {"key": "id", "columns": ["label"], "wait": WAIT, "report_config": {"metrics": ["RegressionPreset"]}}
    return collector(trigger=rows_trigger(4), labels=given | labels)


async def post(world, stream, rows):
    await append(world.journal, stream, Frame("json", json.dumps(rows).encode(), len(rows)))


async def events(world, *ids):
    numbers = range(world.count, world.count + len(ids))
    world.count += len(ids)
    await post(world, "main", [{"n": number, "id": one} for number, one in zip(numbers, ids, strict=True)])


async def labels(world, *ids, label=1):
    await post(world, "main/labels", [{"id": one, "label": label} for one in ids])


async def waited(world, is_there):
    """Return once something is so; fake time passes meanwhile."""
    with trio.fail_after(PATIENCE * 10):
        while not await is_there():  # noqa: ASYNC110  (of what is in the journal)
            await trio.sleep(5)


async def closed(world, count=1):
    """Return the batches that were made of rows with labels, once there are so many and they are delivered."""

    async def are_there():
        found.clear()
        found.extend(one for one in await world.journal.batches("main", "delivered") if one.report == "labels")
        return len(found) >= count

    found = []
    await waited(world, are_there)
    return found


async def fates(world):
    return {fate: rows for fate, rows in (await world.journal.labels.look("main")).fates.items() if rows}


async def is_over(world):
    return (await world.journal.labels.look("main")).is_over


async def test_a_batch_whose_rows_all_have_labels_gets_its_second_snapshot_at_once(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await events(w, 1, 2, 3, 4)
        await settled()
        await labels(w, "3", "1", 2.0)
        await trio.sleep(WAIT / 2)
        assert w.workspace.rows == [[0, 1, 2, 3]]
        await labels(w, 4)
        [made] = await closed(w)
        assert w.workspace.rows == [[0, 1, 2, 3], [0, 1, 2, 3]]
        [main] = [one for one in await w.journal.batches("main", "delivered") if one.report == "main"]
        assert (made.source, made.window, made.rows) == (main.id, main.window, 4)
        assert made.outcome["labels"]["closed_by"] == "share"
        assert [job["report"] for job in w.workers.evaluated] == ["main", "labels"]
        metrics = [job["report_config"]["metrics"] for job in w.workers.evaluated]
        assert metrics == [["DataDriftPreset"], ["RegressionPreset"]]


async def test_each_report_is_compared_with_earlier_rows_of_its_own(world, autojump_clock):
    """A reference of rows without labels would tell nothing of the quality of predictions."""
    rule = ReferenceFrom(previous=1, min_rows=1)
    made = config(min_share=0.5).model_copy(update={"reference_from": rule})
    async with world(autojump_clock) as w, running(w.pipeline(made)):
        for count, (labelled, ids) in enumerate([((1, 2), (1, 2, 3, 4)), ((5, 6), (5, 6, 7, 8))], 1):
            await events(w, *ids)
            await settled()
            await labels(w, *labelled)
            await closed(w, count)
        compared = zip([job["report"] for job in w.workers.evaluated], w.workers.compared, strict=True)
        assert list(compared) == [("main", None), ("labels", None), ("main", [0, 1, 2, 3]), ("labels", [0, 1])]
        assert len(list((w.data_dir.path / "references").iterdir())) == 2


async def test_each_report_has_panels_of_its_own_and_both_are_made_again_when_somebody_asks(world, autojump_clock):
    service = CollectorServiceConfig(retention=Retention(batches=9))
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(config(), service)):
        await events(w, 1, 2, 3, 4)
        await trio.sleep(10)
        await labels(w, 1, 2, 3, 4)
        [made] = await closed(w)
        await trio.sleep(10)
        main = w.data_dir.snapshot(made.source)
        assert [path for path, _ in w.workers.looked_at] == [main, w.data_dir.snapshot(made.id)]
        assert len(w.workspace.shown) == 2
        assert await pipeline.show_dashboard() == 4
        assert [path for path, _ in w.workers.looked_at[2:]] == [main, w.data_dir.snapshot(made.id)]


async def test_of_the_rest_no_more_is_waited_for_once_enough_have_come_or_it_is_due(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config(min_share=0.75))):
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 2, 3)
        assert [one.rows for one in await closed(w)] == [3]
        await events(w, 5, 6, 7, 8)
        began = trio.current_time()
        await labels(w, 5)
        [_, made] = await closed(w, 2)
        assert (made.rows, made.outcome["labels"]["closed_by"]) == (1, "wait")
        assert WAIT <= trio.current_time() - began < 1.1 * WAIT


async def test_a_batch_for_which_no_label_came_has_no_second_snapshot_and_that_is_told(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(config())):
        await events(w, 1, 2, 3, None)
        await labels(w, 9)

        async def is_closed():
            status = pipeline.status()
            return status.snapshots and not status.labels["waiting_batches"]

        await waited(w, is_closed)
        assert [one["type"] for one in await w.journal.logs("main") if not one["ok"]] == ["JoinLabels"]
        assert len(w.workspace.rows) == 1


async def test_a_batch_that_is_replaced_while_its_last_labels_are_matched_is_joined_to_none(
    world, autojump_clock, monkeypatch
):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        match = w.workers.match_labels

        async def replaced_and_matched(*args):
            [one] = (await w.journal.labels.look("main")).awaited
            await w.journal.labels.forget_awaited([one.batch])
            return await match(*args)

        await events(w, 1, 2, 3, 4)
        await trio.sleep(WAIT - 1)
        monkeypatch.setattr(w.workers, "match_labels", replaced_and_matched)
        await labels(w, 1)
        await trio.sleep(WAIT)
        assert (await w.journal.labels.look("main")).awaited == []
        assert w.workspace.rows == [[0, 1, 2, 3]]


async def test_each_label_is_counted_once_by_what_became_of_it(world, autojump_clock):
    """1 comes twice, 2 in time, 3 late, 9 is of no event; 5 is for a batch after that."""
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 1, 2, 5)
        await trio.sleep(WAIT * 0.9)
        await events(w, 5, 6, 7, 8)
        await trio.sleep(WAIT * 0.2)
        await closed(w)
        await labels(w, 3, 9, 6)
        await closed(w, 2)
        await trio.sleep(5 * WAIT)
        assert await fates(w) == {"used": 5, "late": 1, "unmatched": 1}
        left = await w.journal.labels.look("main")
        assert (left.awaited, left.parts) == ([], [])
        assert await w.journal.labels.known_files() == set()
        assert not list(w.data_dir.path.glob("labels/*"))


async def test_labels_of_no_event_are_dropped_where_no_batch_ever_waited_for_any(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await labels(w, 1, 2)
        await trio.sleep(5 * WAIT)
        assert await fates(w) == {"unmatched": 2}


async def test_keys_whose_labels_differ_are_disputed_where_the_config_says_so(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config(on_duplicate="drop", min_share=0.5))):
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 2)
        await labels(w, 1, label=0)
        [made] = await closed(w)
        assert (made.rows, made.outcome["labels"]["disputed"]) == (1, 1)
        await trio.sleep(5 * WAIT)
        assert await fates(w) == {"used": 1, "disputed": 2}


async def test_labels_that_come_before_their_events_are_kept_for_them(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await labels(w, 1, 2, 3, 4)
        await trio.sleep(WAIT * 0.9)
        await events(w, 1, 2, 3, 4)
        assert [one.rows for one in await closed(w)] == [4]


async def test_what_waits_is_kept_beyond_retention_and_goes_afterwards(world, autojump_clock):
    service = CollectorServiceConfig(retention=Retention(batches=0))
    async with world(autojump_clock) as w, running(w.pipeline(config(), service)):
        await events(w, 1, 2, 3, 4)
        await trio.sleep(WAIT / 2)
        assert len(list(w.data_dir.path.glob("parts/*"))) == 1
        await labels(w, 1, 2, 3, 4)

        await closed(w)
        await trio.sleep(100)
        assert [path.name for path in w.data_dir.path.glob("parts/*")] == [await label_part(w)]


async def test_a_report_that_fails_is_no_reason_not_to_join_labels(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(config())):
        w.workers.failures.append(report_raised())
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 2, 3, 4)
        assert [one.rows for one in await closed(w)] == [4]
        assert [one.report for one in await pipeline.failed()] == ["main"]


async def test_a_labels_report_that_fails_is_kept_and_can_be_retried(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(config())):
        await events(w, 1, 2, 3, 4)
        await settled()
        await trio.sleep(10)
        w.workers.failures.append(report_raised())
        await labels(w, 1, 2, 3, 4)

        async def has_failed():
            return await pipeline.failed()

        await waited(w, has_failed)
        await pipeline.retry()
        [made] = await closed(w)
        assert made.outcome["labels"]["labelled_rows"] == 4


async def test_a_worker_that_dies_is_tried_again(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        w.workers.label_failures += [worker_died(), worker_died()]
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 2, 3, 4)
        assert [one.rows for one in await closed(w)] == [4]


async def test_spoiled_files_of_keys_are_made_again(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 2)
        await trio.sleep(WAIT / 10)
        for path in w.data_dir.path.glob("labels/*"):
            path.write_bytes(b"spoiled")
        await labels(w, 3, 4)
        assert [one.rows for one in await closed(w)] == [4]


@pytest.mark.parametrize("failures", [[], [NoRowsMatched(4, [])]], ids=["delivered", "of no row"])
async def test_a_delivered_batch_whose_journal_is_lost_gets_its_second_snapshot(
    tmp_path, monkeypatch, autojump_clock, failures
):
    """Also one of which no row was to be in the first."""
    async with open_world(tmp_path, monkeypatch, autojump_clock) as w, running(w.pipeline(config())):
        w.workers.failures += failures
        await events(w, 1, 2, 3, 4)
        await labels(w, 1, 2)
        await trio.sleep(WAIT / 10)
        [main] = await w.journal.batches("main", "delivered")
    for path in (tmp_path / "data").glob("journal.sqlite3*"):
        path.unlink()
    async with open_world(tmp_path, monkeypatch, autojump_clock) as w, running(w.pipeline(config())):
        await labels(w, 3, 4)
        [made] = await closed(w)
        assert (made.rows, made.source, made.window) == (4, main.id, main.window)
        assert w.workspace.rows == [[0, 1, 2, 3]]
        await trio.sleep(5 * WAIT)
        assert await fates(w) == {"used": 4}


async def test_damaged_labels_are_set_aside_and_counted(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config(min_share=0.5))):
        await labels(w, 1, 2, 3)
        await trio.sleep(WAIT / 10)
        [part] = (await w.journal.labels.look("main")).parts
        spoil(w.data_dir.path / part.path)
        await events(w, 1, 2, 3, 4)
        await labels(w, 3, 4)
        assert [one.rows for one in await closed(w)] == [2]
        assert await fates(w) == {"damaged": 3}


async def label_part(world):
    [part] = (await world.journal.labels.look("main")).parts
    return part.path.rpartition("/")[2]


def spoil(path):
    body = bytearray(path.read_bytes())
    body[4:40] = bytes(36)
    path.chmod(0o600)
    path.write_bytes(body)


async def test_a_damaged_part_of_a_batch_that_waits_is_set_aside_and_the_rest_is_joined(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config(), CollectorServiceConfig(spill_rows=1))):
        await events(w, 1, 2)
        await settled()
        await events(w, 3, 4)
        await trio.sleep(WAIT / 10)
        parts = sorted(w.data_dir.path.glob("parts/*.parquet"), key=lambda path: read_origin(path)[0].first)
        assert len(parts) == 2
        spoil(parts[0])
        await labels(w, 1, 2, 3, 4)
        assert [one.rows for one in await closed(w)] == [2]
        assert w.workspace.rows[-1] == [2, 3]


async def test_another_key_in_the_config_is_looked_for_from_then_on(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config(key="n"))):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1, 2, 3, 4)
            await trio.sleep(WAIT / 10)
        async with running(w.pipeline(config())):
            assert [one.rows for one in await closed(w)] == [4]


@pytest.mark.parametrize("is_closed", [False, True])
async def test_labels_find_their_events_though_the_config_has_keys_hashed_from_between_them_on(
    world, autojump_clock, is_closed
):
    """Neither is a batch that waits left without its labels, nor are those that were used called damaged or lost."""
    hashing = config().model_copy(update={"columns": PrivateColumns(hash={"id": "salt"})})
    service = CollectorServiceConfig(collectors={"main": hashing})
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config())):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1, 2, *([3, 4] if is_closed else []))
            await trio.sleep(WAIT / 10)
        async with running(w.pipeline(hashing, service)):
            if not is_closed:
                await labels(w, *(hashed(key, b"salt") for key in (b"3", b"4")))
            assert [one.rows for one in await closed(w)] == [4]
            await trio.sleep(5 * WAIT)
        assert await fates(w) == {"used": 4}


async def test_batches_wait_as_long_as_the_config_says_now(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config(wait=100 * WAIT))):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1)
            await trio.sleep(WAIT)
        async with running(w.pipeline(config(wait=2 * WAIT))):
            began = trio.current_time()
            await closed(w)
            assert 0.9 * WAIT < trio.current_time() - began < 1.1 * WAIT


async def test_labels_that_were_taken_out_of_the_config_are_dropped_when_they_are_due_and_not_before(
    world, autojump_clock
):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config())):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1, 2, 3)
            await trio.sleep(WAIT / 10)
        async with running(w.pipeline(config().model_copy(update={"labels": None}))):
            await trio.sleep(WAIT / 2)
        assert len((await w.journal.labels.look("main")).awaited) == 1
        async with running(w.pipeline(config().model_copy(update={"labels": None}))):
            await trio.sleep(WAIT)
            await waited(w, lambda: is_over(w))
        assert await fates(w) == {"unmatched": 3}
        assert not list(w.data_dir.path.glob("labels/*"))


async def test_labels_that_are_taken_out_of_the_config_for_a_while_lose_none_that_came_before_their_events(
    world, autojump_clock
):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config())):
            await labels(w, 1, 2, 3, 4)
            await trio.sleep(WAIT / 10)
        async with running(w.pipeline(config().model_copy(update={"labels": None}))):
            await trio.sleep(WAIT / 2)
        async with running(w.pipeline(config())):
            await events(w, 1, 2, 3, 4)
            assert [one.rows for one in await closed(w)] == [4]


async def test_a_label_that_was_used_counts_as_that_though_the_config_has_no_labels_any_more(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config())):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1, 2, 3, 4, 5)
            await closed(w)
        async with running(w.pipeline(config().model_copy(update={"labels": None}))):
            await waited(w, lambda: is_over(w))
        assert await fates(w) == {"used": 4, "unmatched": 1}
        assert not list(w.data_dir.path.glob("labels/*"))


async def test_a_label_that_was_used_by_another_key_counts_as_that_and_no_file_is_called_damaged(
    world, autojump_clock, caplog
):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config(key="n"))):
            await events(w, 11, 12, 13, 14)
            await post(w, "main/labels", [{"n": n, "id": 11 + n, "label": 1} for n in range(4)])
            await closed(w)
        async with running(w.pipeline(config())):
            await trio.sleep(3 * WAIT)
        assert await fates(w) == {"used": 4}
        assert "damaged" not in caplog.text


async def test_a_collector_without_labels_has_no_task_for_them(world, autojump_clock):
    async with world(autojump_clock) as w, running(pipeline := w.pipeline(collector(trigger=rows_trigger(2)))):
        await events(w, 1, 2)
        await trio.sleep(WAIT)
        assert (await w.journal.labels.look("main")).awaited == []
        assert pipeline.status().labels is None
        assert w.workers.labels_work == []


async def test_a_clock_that_is_set_moves_what_is_due_with_it(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())), trio.open_nursery() as nursery:
        nursery.start_soon(w.clocks.watch)
        await events(w, 1, 2, 3, 4)
        await labels(w, 1)
        await trio.sleep(WAIT / 2)
        w.skew.set_by = 100 * WAIT
        began = trio.current_time()
        await closed(w)
        assert 0.4 * WAIT < trio.current_time() - began < 0.6 * WAIT
        nursery.cancel_scope.cancel()


async def test_after_down_time_labels_that_had_to_wait_are_in_time(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config())):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1)
            await trio.sleep(WAIT / 2)
        await trio.sleep(3 * WAIT)
        async with running(w.pipeline(config())):
            await trio.sleep(1)
            await labels(w, 2, 3)
            assert [one.rows for one in await closed(w)] == [3]


async def test_where_labels_take_too_much_the_oldest_batch_closes(world, autojump_clock):
    service = CollectorServiceConfig(limits=Limits(max_labels_bytes=1500))
    async with world(autojump_clock) as w, running(w.pipeline(config(), service)):
        await labels(w, 1, 5)
        for first in (1, 5, 9):
            await events(w, *range(first, first + 4))
            await trio.sleep(10)
        [made, *_] = await closed(w)
        assert (made.rows, made.outcome["labels"]["closed_by"]) == (1, "budget")


async def test_labels_go_with_their_collector_when_it_is_renamed_or_deleted(world, autojump_clock):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(config())):
            await events(w, 1, 2, 3, 4)
            await labels(w, 1, 2)
            await trio.sleep(WAIT / 10)
        await labels(w, 3)
        await w.journal.rename("main", "other", {})
        other = config().model_copy(update={"id": "other"})
        async with running(w.pipeline(other)):
            await trio.sleep(WAIT / 10)
            found = await w.journal.labels.look("other")
            assert [(one.labelled, one.keyed) for one in found.awaited] == [(3, 4)]
        known = await w.journal.labels.known_files("other")
        assert known
        assert known == await w.journal.labels.known_files()
        await w.journal.forget("other")
        assert await w.journal.labels.known_files() == set()
        assert w.journal.labels.kept_bytes("other") == w.journal.buffered_bytes("other/labels") == 0


async def test_a_key_that_is_used_again_gets_its_label_in_each_batch(world, autojump_clock):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await events(w, 1, 2, 3, 3)
        await events(w, 3, 1, 2, 2)
        await labels(w, 1, 2, 3)
        assert [one.rows for one in await closed(w, 2)] == [4, 4]


@pytest.mark.parametrize("rows", [3, 50_001])
async def test_labels_leave_the_journal_soon_or_at_once_if_they_are_many(world, autojump_clock, rows):
    async with world(autojump_clock) as w, running(w.pipeline(config())):
        await trio.sleep(1)
        began = trio.current_time()
        await labels(w, *range(rows))

        await trio.sleep(0.5)
        await settled()
        assert bool((await w.journal.labels.look("main")).parts) == (rows > 50_000)
        await trio.sleep(3)
        assert trio.current_time() - began < 4
        assert (await w.journal.labels.look("main")).parts
