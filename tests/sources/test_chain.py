import json
from dataclasses import replace

import pytest

from collector.sources.chain import MAX_BATCHES, MAX_METADATA, Chain, Committed, number_of
from collector.store.records import Reading, Sealed
from collector.store.steps.positions import batch_id

A, B = ("t", 0), ("t", 1)
TWO = Chain({A: 10, B: 5}, (Sealed(100.5, {A: 20, B: 5}), Sealed(160.5, {A: 25, B: 9})), 160.5, "me")


def committed(chain, number=1):
    metadata = chain.metadata(number)
    return {at: Committed(offset, metadata[at]) for at, offset in chain.base.items()}


def test_what_is_committed_is_read_back():
    assert Chain.read(committed(TWO)) == TWO


def test_metadata_is_small_and_tells_its_number():
    text = TWO.metadata(17)[A]
    assert text == '{"n":17,"w":"me","f":160.5,"b":[[100.5,20],[160.5,25]]}'
    assert number_of(text) == 17


def test_it_tells_how_many_tasks_share_the_topics_if_its_batches_are_of_several():
    several = replace(TWO, tasks=3)
    assert several.metadata(17)[A].endswith('],"t":3}')
    assert Chain.read(committed(several)) == several
    assert Chain.read(committed(replace(several, batches=()))).tasks == 1  # anybody may cut what comes


@pytest.mark.parametrize("text", ["", None, "[]", "no JSON", '{"n": "x"}', '{"offset": 3}'])
def test_metadata_of_others_has_no_number(text):
    assert number_of(text) is None


def test_whoever_reads_it_names_the_batches_alike():
    first = batch_id("main", {A: 10, B: 5}, {A: 20, B: 5}, 100.5)
    second = batch_id("main", {A: 20, B: 5}, {A: 25, B: 9}, 160.5)
    assert Chain.read(committed(TWO)).ids("main") == TWO.ids("main") == [first, second]


def test_a_partition_that_was_added_since_has_no_rows_in_published_batches():
    found = Chain.read(committed(TWO) | {("t", 2): Committed(0)})
    assert [one.ends["t", 2] for one in found.batches] == [0, 0]
    assert found.ids("main") == TWO.ids("main")
    assert found.writer == ""  # whoever has the other partitions on its disk has no position in this one


ROWS_IN_BOTH = Chain({A: 10, B: 3}, (Sealed(100.5, {A: 20, B: 5}), Sealed(160.5, {A: 25, B: 9})), 160.5, "me")


@pytest.mark.parametrize("of_last", [A, B])
@pytest.mark.parametrize("delivered", [1, 2])
def test_a_commit_that_was_taken_for_one_partition_alone_says_what_is_delivered_of_all(of_last, delivered):
    """As where the right to read one of two topics was lost: what was delivered came again of the other."""
    last = Chain(ROWS_IN_BOTH.firsts(delivered), ROWS_IN_BOTH.batches[delivered:], 160.5, "me")
    found = Chain.read(committed(ROWS_IN_BOTH, 7) | {of_last: committed(last, 8)[of_last]})
    assert (found, found.number) == (last, 8)


def test_a_batch_that_was_published_for_one_partition_alone_was_never_delivered_and_may_be_cut_otherwise():
    later = replace(ROWS_IN_BOTH, batches=(*ROWS_IN_BOTH.batches, Sealed(200.0, {A: 30, B: 12})))
    found = Chain.read(committed(ROWS_IN_BOTH, 7) | {A: committed(later, 8)[A]})
    assert found.ids("main")[:2] == ROWS_IN_BOTH.ids("main")
    assert (found.base, found.batches[2].ends) == (ROWS_IN_BOTH.base, {A: 30, B: 9})


def test_offsets_that_were_set_by_hand_have_no_batches():
    assert Chain.read({A: Committed(3), B: Committed(4)}) == Chain({A: 3, B: 4})


def test_the_chain_of_a_journal_is_what_it_has_read():
    reading = Reading({A: 30, B: 9}, TWO.base, TWO.batches, 160.5)
    assert Chain.of(reading, "me") == TWO


def test_a_partition_that_is_added_while_batches_are_published_is_published_with_them():
    """No commit could be made until they were delivered."""
    reading = Reading({A: 30, B: 9, ("t", 2): 3}, TWO.base | {("t", 2): 0}, TWO.batches, 160.5)
    chain = Chain.of(reading, "me")
    assert Chain.read(committed(chain)) == chain
    assert chain.ids("main") == TWO.ids("main")


def without_first(chain):
    return Chain(chain.batches[0].ends, chain.batches[1:], chain.fired, chain.writer)


LATER = Chain(TWO.base, (*TWO.batches, Sealed(200.0, {A: 30, B: 9})), 200.0, "me")


@pytest.mark.parametrize(
    ("mine", "is_continued"),
    [
        (TWO, True),
        (LATER, True),  # sealed, and not published yet
        (without_first(TWO), True),  # delivered, and not published yet
        (without_first(LATER), True),
        (Chain(TWO.base, TWO.batches[:1]), False),  # a power cut took the second
        (Chain({A: 25, B: 9}), True),
        (Chain({A: 30, B: 9}), False),
        (Chain(TWO.base, (Sealed(100.5, {A: 21, B: 5}), *TWO.batches[1:])), False),
    ],
)
def test_a_journal_goes_on_with_what_is_published_if_it_says_so_and_more(mine, is_continued):
    assert TWO.is_continued_by(mine) is is_continued


def test_the_metadata_of_so_many_batches_is_within_what_brokers_take():
    """Sealing stops at these bounds: a commit that is too large for one partition is taken for the others."""
    ends = {A: 10**12}
    batches = [Sealed(1_764_262_000.123 + number, ends) for number in range(MAX_BATCHES + 50)]
    full = next(n for n in range(len(batches)) if Chain({A: 0}, tuple(batches[:n]), 0.0, "x" * 12).is_full)
    text = Chain({A: 0}, tuple(batches[:full]), 0.0, "x" * 12).metadata(10**9)[A]
    assert MAX_METADATA - 200 < len(text) < 4095 or full == MAX_BATCHES
    assert json.loads(text)["b"][-1] == [batches[full - 1].sealed, 10**12]


def test_a_commit_of_very_many_partitions_is_full_sooner():
    wide = {("t", partition): 0 for partition in range(2_000)}
    batches = [Sealed(1_764_262_000.123 + number, dict.fromkeys(wide, 10**9)) for number in range(30)]
    assert not Chain(wide, tuple(batches[:5])).is_full
    assert Chain(wide, tuple(batches)).is_full
