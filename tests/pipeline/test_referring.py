"""What batches are compared with, where nobody has put a file on this disk: rows of their own, or a file in a store."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trio
from worlds import (
    FORGETFUL,
    collector,
    delivered,
    numbers_in,
    report_raised,
    rows_trigger,
    running,
    settled,
    worker_died,
    write_reference,
)

from collector.config import CollectorServiceConfig
from collector.errors import EvaluationError
from collector.pipeline.evaluating import REFERENCE_INTERVAL
from collector.pipeline.referring import LOOK_INTERVAL
from collector.pipeline.rehearsing import QUIET


def of_rows(rule, **fields):
    return collector(trigger=rows_trigger(2), reference_from=rule, **fields)


async def post_batches(w, number):
    for _ in range(number):
        done = len(w.workspace.rows)
        await w.post(2)
        await settled()
        assert len(w.workspace.rows) == done + 1


def references(w):
    return sorted(path for path in (w.data_dir.path / "references").iterdir())


async def parts_kept(w):
    batches = await w.journal.batches("main", "delivered")
    return sum([bool(await w.journal.parts(batch.id)) for batch in batches])


# Of the first rows


async def test_the_first_rows_become_the_reference_of_all_that_follow(world):
    """They are kept beyond the retention until there are enough, and their batches no longer."""
    async with world() as w:
        async with running(w.pipeline(of_rows({"first_rows": 3}), FORGETFUL)):
            await post_batches(w, 4)
        assert w.workers.compared == [None, None, [0, 1, 2], [0, 1, 2]]
        assert w.workers.made == [(2, 3)]
        assert await parts_kept(w) == 0
        assert [numbers_in(path) for path in references(w)] == [[0, 1, 2]]


async def test_the_first_rows_are_compared_with_once_they_are_min_rows(world):
    async with world() as w:
        pipeline = w.pipeline(of_rows({"first_rows": 5, "min_rows": 2}), FORGETFUL)
        async with running(pipeline):
            await post_batches(w, 5)
        assert w.workers.compared == [None, [0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
        assert len(references(w)) == 1


async def test_the_first_rows_are_the_reference_after_a_restart_too(world):
    async with world() as w:
        for _ in range(2):
            pipeline = w.pipeline(of_rows({"first_rows": 2}), FORGETFUL)
            async with running(pipeline):
                await post_batches(w, 2)
        assert w.workers.compared == [None, [0, 1], [0, 1], [0, 1]]
        assert len(w.workers.made) == 1


async def test_a_kept_reference_outlives_the_removal_of_its_rule_and_another_number_makes_another(world):
    async with world() as w:
        service, pipeline = FORGETFUL, w.pipeline(of_rows({"first_rows": 2}), FORGETFUL)
        async with running(pipeline):
            await post_batches(w, 2)
            pipeline.take_config(of_rows(None), service)
            await post_batches(w, 1)
            assert pipeline.status().reference is None
            pipeline.take_config(of_rows({"first_rows": 2}), service)
            await post_batches(w, 1)
            pipeline.take_config(of_rows({"first_rows": 4}), service)
            await post_batches(w, 3)
        assert w.workers.compared[1:4] == [[0, 1], None, [0, 1]]
        assert w.workers.compared[-1] == [8, 9, 10, 11], "what was still here, and came then"


async def test_a_kept_reference_holds_again_when_one_in_a_store_is_taken_out(world, stored):
    async with world() as w:
        pipeline = w.pipeline(of_rows({"first_rows": 2}), FORGETFUL)
        async with running(pipeline):
            await post_batches(w, 2)
            pipeline.take_config(of_rows({"first_rows": 2}, reference_path=f"file://{stored}"), FORGETFUL)
            await post_batches(w, 1)
            pipeline.take_config(of_rows({"first_rows": 2}), FORGETFUL)
            await post_batches(w, 1)
        assert w.workers.compared == [None, [0, 1], [7, 8], [0, 1]]
        assert len(references(w)) == 1, "the copy is gone"


async def test_a_kept_reference_that_is_damaged_is_set_aside_and_made_again(world):
    async with world() as w:
        async with running(w.pipeline(of_rows({"first_rows": 2}))):
            await post_batches(w, 2)
            [path] = references(w)
            path.unlink()
            await post_batches(w, 1)
        assert w.workers.compared == [None, [0, 1], [0, 1]]
        assert references(w) == [path], "the same file, of the same rows"


# Of the previous batches


async def test_the_previous_batches_are_the_reference_and_move(world):
    """They are kept beyond the retention, and no longer than they are needed."""
    async with world() as w:
        pipeline = w.pipeline(of_rows({"previous": 2, "min_rows": 1}), FORGETFUL)
        async with running(pipeline):
            await post_batches(w, 5)
            told = pipeline.status().reference
        assert w.workers.compared == [None, [0, 1], [0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
        assert (told["from"], told["rows"]) == ("the previous 2 batches", 4)
        assert await parts_kept(w) == 2
        assert len(references(w)) == 1
        assert {job["cache_reference"] for job in w.workers.evaluated[1:]} == {False}, "each would stay in memory"


async def test_until_there_are_min_rows_there_is_no_reference_and_that_is_said(world):
    async with world() as w:
        pipeline = w.pipeline(of_rows({"previous": 7, "min_rows": 4}))
        async with running(pipeline):
            await post_batches(w, 2)
            assert pipeline.status().reference == {"from": "the previous 7 batches", "rows": 2, "needs": 4}
            await post_batches(w, 1)
        why = "there is no reference yet: it is made of the previous 7 batches, and 2 of 4 rows are there"
        assert [job["awaits_reference"] for job in w.workers.evaluated][1:] == [why, ""]
        assert w.workers.compared == [None, None, [0, 1, 2, 3]]


async def test_a_batch_whose_report_failed_is_no_reference_until_it_is_retried(world):
    async with world() as w:
        pipeline = w.pipeline(of_rows({"previous": 1, "min_rows": 1}))
        async with running(pipeline):
            await post_batches(w, 1)
            w.workers.failures = [report_raised()]
            await w.post(2)
            await settled()
            await post_batches(w, 1)
            await pipeline.retry()
            await settled()
        assert w.workers.compared == [None, [0, 1], [0, 1]]
        assert w.workspace.rows == [[0, 1], [4, 5], [2, 3]]


async def test_a_damaged_part_of_an_earlier_batch_is_set_aside_and_the_rest_is_the_reference(world):
    async with world() as w:
        async with running(w.pipeline(of_rows({"previous": 2, "min_rows": 1}))):
            await post_batches(w, 2)
            [first, _] = await w.journal.batches("main", "delivered")
            [part] = await w.journal.parts(first.id)
            path = w.data_dir.path / part.path
            path.chmod(0o600)
            path.write_bytes(b"PAR1 and no more")
            await post_batches(w, 1)
        assert w.workers.compared[-1] == [2, 3]
        assert [one.name for one in (w.data_dir.path / "damaged").iterdir()] == [f"part-{path.name}"]


async def test_a_reference_that_cannot_be_made_costs_the_batch_its_reference_only(world):
    async with world() as w:
        async with running(w.pipeline(of_rows({"previous": 1, "min_rows": 1}))):
            await post_batches(w, 1)
            w.workers.making_failures = [EvaluationError("the reference can't be made: no", "traceback")]
            await post_batches(w, 1)
            w.workers.making_failures = [worker_died()]
            await post_batches(w, 1)
        assert w.workers.compared == [None, None, [2, 3]]
        assert "can't be made" in w.workers.evaluated[1]["awaits_reference"]


async def test_a_reference_that_a_crash_left_behind_is_removed_and_made_again_the_same(world):
    async with world() as w:
        async with running(w.pipeline(of_rows({"previous": 1, "min_rows": 1}))):
            await post_batches(w, 2)
        [path] = references(w)
        before = path.read_bytes()
        await w.journal.references.enter("main", "main", None)  # as if it ended between both
        w.data_dir.remove_keys(w.data_dir.stray_references(await w.journal.references.known_files()))
        assert references(w) == []
        [_, second] = await w.journal.batches("main", "delivered")
        await w.journal.mark(second, "sealed")
        async with running(w.pipeline(of_rows({"previous": 1, "min_rows": 1}))):
            await settled()
        assert [one.read_bytes() for one in references(w)] == [before]


async def test_a_reference_that_somebody_gives_wins(world):
    async with world() as w:
        write_reference(w.base / "given.parquet")
        rule = {"previous": 1, "min_rows": 1}
        pipeline = w.pipeline(of_rows(rule))
        async with running(pipeline):
            await post_batches(w, 2)
            pipeline.take_config(of_rows(rule, reference_path="given.parquet"), CollectorServiceConfig())
            await post_batches(w, 1)
            assert pipeline.status().reference is None
            assert references(w) == [], "what can be made again doesn't lie about"
            pipeline.take_config(of_rows(rule), CollectorServiceConfig())
            await post_batches(w, 1)
        assert w.workers.compared == [None, [0, 1], [1, 2, 3], [4, 5]]


# In a store


def write_numbers(path, *numbers):
    pq.write_table(pa.table({"n": list(numbers)}), path)


@pytest.fixture
def stored(tmp_path):
    """Return a file in a store: here one that is a directory."""
    write_numbers(tmp_path / "stored.parquet", 7, 8)
    return tmp_path / "stored.parquet"


async def test_a_reference_in_a_store_is_copied_and_read_again_when_it_is_another(world, autojump_clock, stored):
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(2), reference_path=f"file://{stored}"))
        async with running(pipeline):
            await post_batches(w, 2)
            write_numbers(stored, 9)
            os.utime(stored, (1, 1))
            await post_batches(w, 1)
            await trio.sleep(LOOK_INTERVAL + 1)
            await post_batches(w, 2)
            await trio.sleep(QUIET + 1)
            await settled()
            told = pipeline.status().reference
        assert w.workers.compared == [[7, 8], [7, 8], [7, 8], [9], [9]]
        assert len(references(w)) == 1
        assert (told["from"], told["rows"]) == (f"file://{stored}", 1)
        assert len({job["reference"] for job in w.workers.rehearsed}) == 2, "each is tried"


async def test_while_a_store_is_away_the_copy_is_taken_also_after_a_restart(world, autojump_clock, stored):
    async with world(autojump_clock) as w:
        config = collector(trigger=rows_trigger(2), reference_path=f"file://{stored}")
        async with running(w.pipeline(config)):
            await post_batches(w, 1)
        stored.unlink()
        pipeline = w.pipeline(config)
        async with running(pipeline):
            await post_batches(w, 1)
            assert pipeline.status().problems == ()
        assert w.workers.compared == [[7, 8], [7, 8]]


async def test_without_a_copy_batches_wait_for_the_store(world, autojump_clock, stored):
    stored.rename(stored.with_suffix(".away"))
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(2), reference_path=f"file://{stored}"))
        async with running(pipeline):
            await w.post(2)
            await settled()
            [problem] = pipeline.status().problems
            assert f"reference_path: file://{stored} can't be read" in problem
            stored.with_suffix(".away").rename(stored)
            await trio.sleep(REFERENCE_INTERVAL + 1)
            await delivered(w, 1)
        assert w.workers.compared == [[7, 8]]


async def test_a_copy_that_is_damaged_is_fetched_again(world, autojump_clock, stored):
    async with world(autojump_clock) as w:
        async with running(w.pipeline(collector(trigger=rows_trigger(2), reference_path=f"file://{stored}"))):
            await post_batches(w, 1)
            [copy] = references(w)
            copy.unlink()
            await post_batches(w, 1)
        assert (w.workers.compared, w.workers.fetched) == ([[7, 8], [7, 8]], ["", ""])
