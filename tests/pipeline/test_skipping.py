"""Events that a follower skips."""

import trio
from worlds import EPOCH, collector, running, settled

from collector.pipeline.skipping import PAUSE, QUIET

WHY = "5 bytes of its events are not delivered yet, which is the limit"


async def test_that_events_pass_by_is_told_once_and_its_end_with_the_rows(world, autojump_clock):
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(events_from="leader", when_full="skip"))
        async with running(pipeline):
            for _ in range(3):
                pipeline.note_skipped(2, WHY)
                await trio.sleep(QUIET / 2)
            status = pipeline.status()
            assert (status.events_from, status.rows_skipped, status.skipping_why) == ("leader", 6, WHY)
            assert status.skipping_since == EPOCH
            await trio.sleep(QUIET + PAUSE)
            await settled()
            assert (pipeline.status().rows_skipped, pipeline.status().skipping_since) == (6, None)
        assert [(entry["type"], entry["error"], entry["rows"]) for entry in await w.journal.logs("main")] == [
            ("SkipEvents", "it takes its events again; 6 rows were skipped", 6),
            ("SkipEvents", f"it skips its events, so that they are in no batch of it: {WHY}", 0),
        ]


async def test_what_passes_by_later_is_told_anew(world, autojump_clock):
    async with world(autojump_clock) as w:
        pipeline = w.pipeline(collector(events_from="leader", when_full="skip"))
        async with running(pipeline):
            for _ in range(2):
                pipeline.note_skipped(1, WHY)
                await trio.sleep(2 * QUIET)
                await settled()
            assert pipeline.status().rows_skipped == 2
        ends = [entry["rows"] for entry in await w.journal.logs("main") if entry["rows"]]
        assert ends == [1, 1]
