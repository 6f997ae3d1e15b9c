import pytest
import trio
from worlds import collector, rows_trigger, running

from collector.errors import NotReady


async def test_events_of_kafka_that_came_into_the_config_since_the_start_wait_for_a_restart(world):
    async with world() as w:
        pipeline = w.pipeline(collector(trigger=rows_trigger(1), kafka={"topics": ["t"]}))
        async with running(pipeline):
            await trio.testing.wait_all_tasks_blocked()
            status = pipeline.status()
            assert status.state == "misconfigured"
            assert status.problems == (
                "takes its events from Kafka, and the service was started without kafka in its config: restart it",
            )
            with pytest.raises(NotReady, match="'main' takes its events from Kafka"):
                await pipeline.flush()
