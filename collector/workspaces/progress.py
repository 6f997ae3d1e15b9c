"""Progress: what of a batch its workspace has already, kept between the tries to deliver it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """What of a batch its workspace has already; ``save`` keeps it on disk between tries.

    While it ``is_doubtful``, the snapshot may be there or not: a try was cut off, by a fault or by our own end.
    It ``is_cleared`` once the snapshots that this one replaces have gone.
    What is sent is sent within ``sending``, which may say that the batch isn't ours to send: DeliveryError, or worse.
    ``checksum`` is that of the snapshot's file once it was rewritten on the way; its plots may have gone then.
    ``is_done``: it needs no further try, though others of its batch do.
    """

    save: Callable[[dict[str, Any]], Awaitable[None]]
    sending: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    is_doubtful: bool = False
    snapshot_id: str | None = None
    datasets: dict[str, str] = field(default_factory=dict)
    checksum: int | None = None
    has_plots: bool = True
    is_cleared: bool = False
    is_done: bool = False

    async def keep(self, **changes: Any) -> None:
        """Take changes over, and keep them."""
        for name, value in changes.items():
            setattr(self, name, value)
        await self.save(self.as_kept())

    def as_kept(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return {name: value for name, value in vars(self).items() if name not in ("save", "sending")}
