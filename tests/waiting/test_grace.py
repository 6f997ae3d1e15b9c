"""Grace, by a clock that jumps."""

import pytest
import trio

from collector.waiting.grace import let_end


async def ended(seconds, done):
    await trio.sleep(seconds)
    done.append(trio.current_time())
    return "done"


async def test_what_nobody_cancels_returns_or_raises_what_it_does(autojump_clock):
    async def fail():
        await trio.lowlevel.checkpoint()
        raise ValueError

    assert await let_end(1, ended, 100, []) == "done"
    with pytest.raises(ValueError, match=r"^$"):
        await let_end(1, fail)


@pytest.mark.parametrize(("seconds", "ends"), [(3, [3]), (9, [])], ids=["soon", "late"])
async def test_what_is_cancelled_ends_by_itself_if_it_does_so_soon(autojump_clock, seconds, ends):
    done = []
    with trio.move_on_after(2) as waiting:
        await let_end(5, ended, seconds, done)
    assert (waiting.cancelled_caught, done, trio.current_time()) == (True, ends, min(seconds, 7))
