"""Matching: which rows of waiting batches have a label by now, and in the end what became of each label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from collector.labels.arrays import read_marks, read_numbers, write_marks
from collector.labels.exchange import Fates
from collector.labels.indexing import are_among, label_numbers
from collector.labels.numbers import NO_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from collector.labels.exchange import Closed, Keying, LabelFile, Waiting
    from collector.labels.numbers import Numbers


def match(labels: Sequence[LabelFile], waiting: Sequence[Waiting], keying: Keying) -> list[int]:
    """Mark the rows for which there are labels; return how many of each batch have one now.

    A label costs a look into each batch, or a row of a batch one look into the labels, whichever are fewer.
    Raises KeysSpoiled of a batch's files, FilesDamaged of a part.
    """
    pieces = [label_numbers(label, keying) for label in labels]
    needles = np.unique(np.concatenate(pieces)) if pieces else np.empty(0, np.uint64)
    needles = needles[1:] if len(needles) and needles[0] == NO_KEY else needles
    return [_mark(batch, needles, keying.salt) for batch in waiting]


def fates_of(label: LabelFile, in_time: Sequence[Closed], late: Sequence[Closed], keying: Keying) -> Fates:
    """Tell what became of the labels of a part: those batches that they came in time for, and those they came late for.

    A batch that had closed before the key became another is looked at by its own.
    Raises KeysSpoiled, FilesDamaged.
    """
    own = {name: keying.called(name) for name in {one.keying for one in [*in_time, *late]}}
    by_name = {name: label_numbers(label, its) for name, its in own.items()}
    numbers = label_numbers(label, keying)
    used, disputed, came_late = (np.zeros(len(numbers), np.bool_) for _ in range(3))
    for batch in in_time:
        mine, salt = by_name[batch.keying], own[batch.keying].salt
        found = are_among(mine, read_numbers(f"{batch.keys}.sorted", salt))
        if batch.has_disputed:
            is_disputed = are_among(mine, read_numbers(f"{batch.keys}.disputed", salt))
            disputed |= found & is_disputed
            found &= ~is_disputed
        used |= found
    for batch in late:
        keys = read_numbers(f"{batch.keys}.sorted", own[batch.keying].salt)
        came_late |= are_among(by_name[batch.keying], keys)
    disputed &= ~used
    came_late &= ~used & ~disputed
    counts = [int(np.count_nonzero(found)) for found in (used, came_late, disputed)]
    return Fates(used=counts[0], late=counts[1], disputed=counts[2], unmatched=len(numbers) - sum(counts))


def wanted_by(label: LabelFile, batches: Sequence[str], keying: Keying) -> list[bool]:
    """Tell which batches have a row for any label of a part; raise KeysSpoiled, FilesDamaged."""
    numbers = label_numbers(label, keying)
    return [bool(are_among(numbers, read_numbers(f"{keys}.sorted", keying.salt)).any()) for keys in batches]


def _mark(batch: Waiting, needles: Numbers, salt: bytes) -> int:
    keys = read_numbers(f"{batch.keys}.sorted", salt)
    marks = np.zeros(len(keys), np.bool_) if batch.marks is None else read_marks(batch.marks, len(keys), salt)
    if len(needles) > len(keys):
        marks |= are_among(keys, needles)
    elif len(needles):
        _mark_each(keys, needles, marks)
    write_marks(batch.new_marks, marks, salt)
    return int(np.count_nonzero(marks))


def _mark_each(keys: Numbers, needles: Numbers, marks: NDArray[np.bool_]) -> None:
    """Mark where the needles stand among sorted keys; a key that stands there several times is marked each time."""
    begins, ends = keys.searchsorted(needles), keys.searchsorted(needles, "right")
    marks[begins[begins < ends]] = True
    for place in np.flatnonzero(ends - begins > 1).tolist():
        marks[begins[place] : ends[place]] = True
