"""What both clients share: the service's address, the way there, and the connections."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Self, TypeVar

from collector.client.connecting import AT_ONCE, checked_url, way_to
from collector.client.requests import RETRIES, TIMEOUT, Conversations

# An httpx client, and a semaphore, of either kind.
H = TypeVar("H")
S = TypeVar("S")


@dataclass
class Pool(Generic[H, S]):
    """An httpx client for each connection: those that are made, and those whose turn it isn't."""

    turns: S
    made: list[H] = field(default_factory=list)
    free: list[H] = field(default_factory=list)

    def take(self, make: Callable[[], H]) -> H:
        """Return one that is free, or a new one."""
        try:
            return self.free.pop()  # the one that was used last, which is the most likely to be open
        except IndexError:
            made = make()
            self.made.append(made)
            return made


class Reaching(Generic[H, S]):
    """A service, and what a client of either kind reaches it with."""

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
        # By process and event loop: the answers to another one's requests are not for us.
        self._pools: dict[object, Pool[H, S]] = {}
        self._given = (base_url, secret)
        self._choices: dict[str, Any] = {"timeout": timeout, "retries": retries, "verify": verify}

    def _again(self, **choices: Any) -> Self:
        """Return another client like this one: for a buffer, whose connections are its own."""
        return type(self)(*self._given, **self._choices | choices)

    def __reduce__(self) -> tuple[partial[Self], tuple[()]]:
        return partial(type(self), *self._given, **self._choices), ()

    def _pool_of(self, here: object, open_turns: Callable[[int], S]) -> Pool[H, S]:
        """Return the connections of a process and event loop; those of others are dropped."""
        if (pool := self._pools.get(here)) is None:
            pool = self._pools.setdefault(here, Pool(open_turns(AT_ONCE)))  # unless another thread was quicker
            for other in self._pools.keys() - {here}:
                self._pools.pop(other, None)
        return pool

    def _let_go(self, here: object) -> list[H]:
        """Return the connections of a process and event loop to be closed."""
        pool = self._pools.pop(here, None)
        return [] if pool is None else pool.made
