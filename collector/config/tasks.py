"""Tasks: the parts of a collector that is spread over several services; each is at work as a collector of its own."""

from __future__ import annotations

import re

_TASK = re.compile(r"~task([1-9]\d?)\Z")


def task_ids(collector: str, tasks: int) -> list[str]:
    """Return the ids of a collector's tasks; the first has the collector's."""
    return [collector, *(f"{collector}~task{number}" for number in range(1, tasks))]


def whole_of(task: str) -> str:
    """Return the id of the collector that a task is a part of."""
    return _TASK.sub("", task)


def number_of(task: str) -> int:
    """Return which task of a collector one is, from 0 on."""
    found = _TASK.search(task)
    return 0 if found is None else int(found[1])
