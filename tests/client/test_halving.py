"""Pieces that pass, and in which halves the others go."""

from dataclasses import dataclass

import pytest

from collector.client.halving import Halving, Passage
from collector.errors import RequestRefused, ServiceUnavailable

TOO_LARGE = RequestRefused(413, "too large")


@dataclass(frozen=True)
class Numbers:
    """Rows of 10 bytes each."""

    numbers: tuple

    @property
    def rows(self):
        return len(self.numbers)

    @property
    def size(self):
        return 10 * self.rows

    def halves(self):
        half = self.rows // 2
        return Numbers(self.numbers[:half]), Numbers(self.numbers[half:])


def sent(rows, limit, passage):
    """Send so many rows where so many bytes pass; return what passed, what is too large alone, and the refusals."""
    passed, lost, refusals = {}, [], 0
    halving = Halving(Numbers(tuple(range(rows))), "key", passage)
    for piece, key in halving:
        if piece.size <= limit:
            passed[key] = piece.numbers
            continue
        refusals += 1
        if not halving.halves_after(TOO_LARGE):
            lost += piece.numbers
    return passed, lost, refusals


def test_what_is_too_large_goes_in_halves_in_its_order_each_under_its_path():
    passed, lost, _ = sent(5, 20, Passage())
    assert passed == {"key.0": (0, 1), "key.1.0": (2,), "key.1.1": (3, 4)}
    assert lost == []


@pytest.mark.parametrize("limit", [10, 30, 70, 99, 100, 640, 10_000])
def test_all_rows_pass_once_whatever_the_limit(limit):
    passed, lost, _ = sent(1000, limit, Passage())
    assert [number for numbers in passed.values() for number in numbers] == list(range(1000))
    assert (len(set(passed)), lost) == (len(passed), [])


@pytest.mark.parametrize("limit", [100, 140, 300, 640, 6_500])
def test_the_size_that_passed_is_kept_for_the_next(limit):
    passage = Passage()
    sent(1000, limit, passage)
    assert sum(sent(rows, limit, passage)[2] for rows in (1000, 990, 1010, 700, 1)) <= 1


def test_the_same_pieces_come_in_the_same_halves_in_a_second_run():
    runs = []
    for _ in range(2):
        passage = Passage()
        runs.append([sent(rows, 640, passage)[0] for rows in (60, 1000, 70, 900, 50)])
    assert runs[0] == runs[1]


def test_a_row_that_is_too_large_alone_is_lost_alone():
    passed, lost, _ = sent(3, 9, Passage())
    assert (passed, lost) == ({}, [0, 1, 2])


@pytest.mark.parametrize("error", [RequestRefused(400, "bad"), ServiceUnavailable("away")])
def test_nothing_else_is_halved(error):
    halving = Halving(Numbers((1, 2)), "key", Passage())
    next(halving)
    assert not halving.halves_after(error)
    assert list(halving) == []
