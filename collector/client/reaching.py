"""What both clients share: the service's address, the way there, and the connections."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Self, TypeVar

from collector.client.connecting import AT_ONCE, checked_url, way_to
from collector.client.requests import RETRIES, TIMEOUT, Conversations

# The kinds of httpx client and of semaphore: blocking or async.
H = TypeVar("H")
S = TypeVar("S")


@dataclass
class Pool(Generic[H, S]):
    """An httpx client for each connection; a request takes a turn, and waits if all are in use."""

    turns: S
    made: list[H] = field(default_factory=list)
    free: list[H] = field(default_factory=list)

    def take(self, make: Callable[[], H]) -> H:
        """Return one that is free, or a new one."""
        try:
            return self.free.pop()  # the one used last, as it is most likely still open
        except IndexError:
            made = make()
            self.made.append(made)
            return made


class Reaching(Generic[H, S]):
    """A service, and how a client, blocking or async, reaches it."""

    def __init__(
        self,
        base_url: str = "http://localhost:8001",
        secret: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        verify: ssl.SSLContext | str | bool = True,
    ) -> None:
        url = checked_url(base_url)
        self._talk = Conversations(url, secret, timeout, retries)
        self._way = way_to(url, verify)
        # Pools by process and event loop: answers to another process's requests aren't for us.
        self._pools: dict[object, Pool[H, S]] = {}
        self._given = (base_url, secret)
        self._choices: dict[str, Any] = {"timeout": timeout, "retries": retries, "verify": verify}

    def _again(self, **choices: Any) -> Self:
        """Return another client of the same service, for a buffer that has connections of its own."""
        return type(self)(*self._given, **self._choices | choices)

    def __reduce__(self) -> tuple[partial[Self], tuple[()]]:
        return partial(type(self), *self._given, **self._choices), ()

    def _pool_of(self, here: object, open_turns: Callable[[int], S]) -> Pool[H, S]:
        """Return the connections of this process and event loop; drop those of others."""
        if (pool := self._pools.get(here)) is None:
            pool = self._pools.setdefault(here, Pool(open_turns(AT_ONCE)))  # unless another thread made it first
            for other in self._pools.keys() - {here}:
                self._pools.pop(other, None)
        return pool

    def _let_go(self, here: object) -> list[H]:
        """Return the connections of this process and event loop, for the caller to close."""
        pool = self._pools.pop(here, None)
        return [] if pool is None else pool.made
