"""What runs behind a bulkhead fails, is begun again, and nobody else notices."""

from types import SimpleNamespace

import pytest
import trio

from collector.errors import StorageError
from collector.status.status import Status
from collector.supervision.bulkhead import STORAGE_PAUSE, Bulkhead
from collector.waiting.backoff import LONGEST


class Failing:
    """Raises what it is given, one at each run, then runs until it is cancelled; needn't be a pipeline."""

    def __init__(self, *errors, seconds=0.0):
        self.errors = list(errors)
        self.seconds = seconds
        self.begun = []
        self.counts = SimpleNamespace(restarts=0)

    def status(self):
        return Status("source", "waiting")

    async def run(self):
        self.begun.append(trio.current_time())
        await trio.sleep(self.seconds)
        if self.errors:
            raise self.errors.pop(0)
        await trio.sleep_forever()

    def pauses(self):
        return [later - earlier - self.seconds for earlier, later in zip(self.begun, self.begun[1:], strict=False)]


class Sound:
    """A journal that is sound, or will be."""

    def __init__(self):
        self.healed = trio.Event()
        self.healed.set()

    async def wait_until_sound(self):
        await self.healed.wait()


async def run_for(seconds, bulkhead):
    with trio.move_on_after(seconds):
        await bulkhead.run()


@pytest.fixture
def whole_pauses(monkeypatch):
    monkeypatch.setattr("collector.waiting.backoff.random.uniform", lambda _low, high: high)


async def test_what_failed_is_begun_again_after_growing_pauses(autojump_clock, whole_pauses):
    inside = Failing(*[RuntimeError("ours")] * 4)
    await run_for(60, Bulkhead(inside, Sound()))
    assert inside.pauses() == pytest.approx([0.5, 1, 2, 4])
    assert inside.counts.restarts == 4


async def test_after_a_long_good_run_the_pauses_begin_again(autojump_clock, whole_pauses):
    inside = Failing(*[RuntimeError("ours")] * 3, seconds=LONGEST + 1)
    await run_for(600, Bulkhead(inside, Sound()))
    assert inside.pauses() == pytest.approx([0.5] * 3)


async def test_while_it_waits_to_be_begun_again_it_is_shown_as_crashed_with_the_reason(autojump_clock):
    inside = Failing(ExceptionGroup("", [ExceptionGroup("", [RuntimeError("ours")])]))
    bulkhead = Bulkhead(inside, Sound())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bulkhead.run)
        await trio.testing.wait_all_tasks_blocked()
        assert (bulkhead.status().state, bulkhead.status().last_error) == ("crashed", "RuntimeError: ours")
        await trio.sleep(1)
        assert bulkhead.status() == inside.status()
        nursery.cancel_scope.cancel()


async def test_what_the_disk_refused_is_begun_again_soon_but_not_before_it_is_sound(autojump_clock):
    inside, journal = Failing(*[StorageError("full")] * 2), Sound()
    journal.healed = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Bulkhead(inside, journal).run)
        await trio.sleep(STORAGE_PAUSE * 10)
        assert len(inside.begun) == 1
        journal.healed.set()
        await trio.sleep(STORAGE_PAUSE * 2)
        assert inside.pauses()[1:] == pytest.approx([STORAGE_PAUSE])
        nursery.cancel_scope.cancel()


async def test_it_is_stopped_only_once_all_has_ended():
    ended = []

    class Slow(Failing):
        async def run(self):
            try:
                await super().run()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.testing.wait_all_tasks_blocked()
                ended.append(True)

    bulkhead = Bulkhead(Slow(), Sound())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bulkhead.run)
        await trio.testing.wait_all_tasks_blocked()
        await bulkhead.stop()
        assert (ended, bulkhead.is_stopped) == ([True], True)


async def test_an_error_that_comes_while_it_is_stopped_ends_here_too():
    """It arrives in a group beside Cancelled, and is no Exception there."""

    class Stubborn(Failing):
        async def run(self):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                try:
                    await trio.sleep_forever()
                finally:
                    raise RuntimeError("while it was stopped")

    bulkhead = Bulkhead(Stubborn(), Sound())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bulkhead.run)
        await trio.testing.wait_all_tasks_blocked()
        await bulkhead.stop()
