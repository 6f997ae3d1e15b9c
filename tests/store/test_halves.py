"""Halves in the journal: what memory counts of them is what is on the disk, also after a restart."""

import pytest

from collector.config import Idempotency
from collector.errors import BadBody
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.store.records import Logged


def half(number, *, is_request, collector="main", rows=1):
    name = "n" if is_request else "y"
    body = f'{{"{name}":{[number] * rows}}}'.replace(" ", "").encode()
    return Logged(collector, f"{is_request} {number}", body, rows, (name,), f"pair {number}", is_request)


async def keep(journal, *logged, followers=()):
    told = []
    await journal.halves.order(logged, Idempotency(), followers, lambda *of: told.append(of)).wait()
    return told


async def test_a_half_waits_over_a_restart_and_becomes_an_event_once(tmp_path):
    request, response = half(1, is_request=True), half(1, is_request=False)
    with open_data_dir(tmp_path / "data") as data_dir:
        async with open_journal(data_dir) as journal:
            assert await keep(journal, request) == [(["waiting"], 0)]
        async with open_journal(data_dir) as journal:
            assert (journal.halves.waiting("main"), journal.buffered_bytes("main")) == (1, len(request.body))
            assert journal.buffered_bytes_in_all == len(request.body)
            assert await keep(journal, request) == [(["repeated"], 0)]
            assert await keep(journal, response) == [(["kept"], 1)]
            waiting = journal.waiting("main")
            assert (journal.halves.waiting("main"), waiting.rows) == (0, 1)
            assert journal.buffered_bytes("main") == waiting.frame_bytes > 0
        async with open_journal(data_dir) as journal:
            assert await keep(journal, request, response) == [(["repeated", "repeated"], 0)]
            assert (journal.halves.waiting("main"), journal.waiting("main").rows) == (0, 1)


async def test_a_pair_in_one_request_is_one_event_for_each_who_takes_it(journal):
    both = (half(1, is_request=False), half(1, is_request=True))
    assert await keep(journal, *both, followers=["daily"]) == [(["waiting", "kept"], 1)]
    assert [journal.waiting(one).rows for one in ("main", "daily")] == [1, 1]


async def test_nothing_is_kept_of_what_does_not_fit_and_its_key_is_free(journal):
    await keep(journal, half(1, is_request=True))
    before = journal.buffered_bytes("main")
    with pytest.raises(BadBody, match="2 rows"):
        await keep(journal, half(2, is_request=True), half(1, is_request=False, rows=2))
    assert (journal.halves.waiting("main"), journal.buffered_bytes("main")) == (1, before)
    assert await keep(journal, half(1, is_request=False), half(2, is_request=True)) == [(["kept", "waiting"], 1)]


async def test_halves_expire_up_to_a_number_and_their_bytes_go_with_them(journal):
    await keep(journal, half(1, is_request=True), half(2, is_request=False), half(3, is_request=True, collector="o"))
    upto = await journal.halves.newest("main")
    await keep(journal, half(4, is_request=True))
    assert await journal.halves.expire("main", upto) == (1, 1)
    assert (journal.halves.waiting("main"), journal.halves.waiting("o")) == (1, 1)
    assert journal.buffered_bytes("main") == len(half(4, is_request=True).body)
    assert await journal.halves.expire("nobody", 10**9) == (0, 0)


async def test_halves_go_with_their_collector_to_its_new_id_and_are_dropped_with_it(journal):
    await keep(journal, half(1, is_request=True))
    await journal.rename("main", "new", {})
    assert (journal.halves.waiting("main"), journal.halves.waiting("new")) == (0, 1)
    renamed = half(1, is_request=False, collector="new")
    assert await keep(journal, renamed) == [(["kept"], 1)]
    await keep(journal, half(2, is_request=True, collector="new"))
    await journal.forget("new")
    assert (journal.halves.waiting("new"), journal.buffered_bytes("new"), journal.buffered_bytes_in_all) == (0, 0, 0)
    assert await journal.halves.newest("new") == 0
