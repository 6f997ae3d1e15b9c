"""Grace: what is cancelled may end by itself, if it does so soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import outcome
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def let_end(seconds: float, run: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Return what ``run`` returns. Cancellation: ``run`` has ``seconds`` to end before it is cancelled, too."""
    async with trio.open_nursery() as nursery:
        with trio.CancelScope(shield=True) as shielded:
            nursery.start_soon(_bound_when_cancelled, shielded, seconds)
            done = await outcome.acapture(run, *args)
        nursery.cancel_scope.cancel()
    result: T = done.unwrap()
    return result


async def _bound_when_cancelled(shielded: trio.CancelScope, seconds: float) -> None:
    try:
        await trio.sleep_forever()
    finally:
        shielded.deadline = trio.current_time() + seconds
