"""The chain: a collector's sealed, undelivered batches, published with each commit for whoever comes after us.

Each partition's commit says where the oldest such batch begins, its offset, and in its metadata where each batch ends::

    {"n": 17, "w": "8c1f…", "f": 1764262000.5, "b": [[1764262000.5, 4711], …], "t": 3}

``n`` tells commits apart, and grows from one to the next, so that the last is known where brokers refused it for some
partitions; ``w`` is the data directory that has the rows, ``f`` when the trigger last fired, ``b`` the batches: when
each was sealed, and its end in this partition; ``t`` how many tasks share the topics, if it isn't one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from collector.store.records import Sealed
from collector.store.steps.positions import batch_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.store.records import Offsets, Reading

# Characters for each partition, and bytes for a whole commit. By default, a broker takes 4 096 characters, and some 1
# MiB.
MAX_METADATA = 3_900
MAX_COMMIT = 900_000
MAX_BATCHES = 100


@dataclass(frozen=True)
class Committed:
    """What is committed for a partition; ``offset`` is None if nothing is."""

    offset: int | None
    metadata: str = ""


@dataclass(frozen=True)
class Chain:
    """Where the oldest undelivered batch begins, and the batches in their order."""

    base: Offsets
    batches: tuple[Sealed, ...] = ()
    fired: float | None = None
    writer: str = ""
    tasks: int = 1
    number: int = field(default=0, compare=False)  # the number of the commit from which the chain was read, if any

    @classmethod
    def of(cls, reading: Reading, writer: str, tasks: int = 1) -> Chain:
        """Make the chain of what a journal has; a batch has no rows of a partition that was added after it."""
        batches = tuple(Sealed(one.sealed, {**reading.base, **one.ends}) for one in reading.batches)
        return cls(reading.base, batches, reading.fired, writer, tasks)

    @classmethod
    def read(cls, committed: Mapping[tuple[str, int], Committed]) -> Chain:
        """Read the chain of what is committed; every partition must have an offset.

        A partition that has no metadata is one that was added since, or whose offset was set by Kafka's own tool: no
        batch has rows of it.
        """
        told = {at: _read(one.metadata) for at, one in committed.items()}
        base = {at: one.offset for at, one in committed.items() if one.offset is not None}
        last = max(told.values(), key=_number_in)
        ends: dict[float, Offsets] = {sealed: {} for sealed, _ in last["b"]}
        for at, head in told.items():
            for sealed, end in head["b"]:
                if sealed in ends:
                    ends[sealed][at] = end
                else:  # the last commit says that the batch is over; brokers didn't take it for this partition
                    base[at] = max(base[at], end)
        batches, reached = [], base
        for sealed in sorted(ends):
            reached = {at: max(reached[at], ends[sealed].get(at, 0)) for at in base}
            batches.append(Sealed(sealed, reached))
        writers = {head["w"] for head in told.values()}
        fired = [head["f"] for head in told.values() if head["f"] is not None]
        tasks = {head["t"] for head in told.values() if head["b"]}
        writer = writers.pop() if len(writers) == 1 else ""
        number = _number_in(last)
        return cls(base, tuple(batches), max(fired, default=None), writer, max(tasks, default=1), number)

    def metadata(self, number: int) -> dict[tuple[str, int], str]:
        """Write the metadata of each partition's commit."""
        head = {"n": number, "w": self.writer, "f": None if self.fired is None else round(self.fired, 3)}
        tail = {} if self.tasks == 1 else {"t": self.tasks}
        return {
            at: json.dumps(
                {**head, "b": [[one.sealed, one.ends[at]] for one in self.batches], **tail}, separators=(",", ":")
            )
            for at in self.base
        }

    @property
    def is_full(self) -> bool:
        """Whether no further batch can be published, as the metadata would be too large for a broker."""
        sizes = [len(text) for text in self.metadata(10**9).values()]
        return len(self.batches) >= MAX_BATCHES or max(sizes, default=0) > MAX_METADATA or sum(sizes) > MAX_COMMIT

    def firsts(self, index: int) -> Offsets:
        """Return where a batch begins, the open one after the last."""
        return self.batches[index - 1].ends if index else self.base

    def ids(self, collector: str) -> list[str]:
        """Return the ids of the batches."""
        return [batch_id(collector, self.firsts(index), one.ends, one.sealed) for index, one in enumerate(self.batches)]

    def is_continued_by(self, mine: Chain) -> bool:
        """Tell whether what a journal has is what is committed, or what came after it.

        A journal commits first, so it is ahead; after a power cut it may be behind, or lie.
        """
        ours, theirs = _ends(mine), _ends(self)
        if ours[0] not in theirs:
            return False
        common = theirs[theirs.index(ours[0]) :]
        return ours[: len(common)] == common


def number_of(metadata: str | None) -> int | None:
    """Return which commit of ours a metadata is of; None if it is none."""
    number = _read(metadata or "")["n"]
    return number if isinstance(number, int) else None


def told_in(metadata: str) -> dict[str, Any]:
    """Return what a commit's metadata tells; nothing if it isn't ours."""
    try:
        told = json.loads(metadata)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _number_in(head: dict[str, Any]) -> int:
    return head["n"] if isinstance(head["n"], int) else 0


def _read(metadata: str) -> dict[str, Any]:
    """Read metadata; text that isn't ours counts as empty."""
    return {"n": None, "w": "", "f": None, "b": [], "t": 1, **told_in(metadata)}


def _ends(chain: Chain) -> list[Offsets]:
    """Return where batches begin and end, from the base on."""
    return [chain.base, *(one.ends for one in chain.batches)]
