"""Halves: both become one event, in either order, unless they don't fit; then the one that came first stays."""

import pytest

from collector.errors import BadBody
from collector.formats.frames import Frame
from collector.formats.json_body import read_columns
from collector.store.records import Logged
from collector.store.steps import halves

REQUEST = Logged("main", "a", b'{"id":["x"],"n":[1]}', 1, ("id", "n"), "pair", is_request=True)
RESPONSE = Logged("main", "b", b'{"y":[0.5]}', 1, ("y",), "pair")


def of_rows(rows, **others):
    named = {"name": "y"} | others
    body = f'{{"{named["name"]}":[{",".join("0" * rows)}]}}'.encode()
    return Logged("main", "b", body, rows, (named["name"],), "pair")


@pytest.mark.parametrize("order", [(REQUEST, RESPONSE), (RESPONSE, REQUEST)], ids=["request first", "response first"])
def test_two_halves_are_one_event_whose_columns_are_the_requests_and_then_the_responses(db, order):
    first, second = order
    assert halves.take_other(db, first, b"p") is None
    assert halves.keep(db, first, b"p")
    event, size = halves.take_other(db, second, b"p")
    assert event == Frame("json", b'{"id":["x"],"n":[1],"y":[0.5]}', 1)
    assert read_columns(event.body) == {"id": ["x"], "n": [1], "y": [0.5]}
    assert (list(event.names), size) == (["id", "n", "y"], len(first.body))
    assert halves.count(db) == []


def test_halves_of_others_are_left_alone(db):
    halves.keep(db, REQUEST, b"other")
    halves.keep(db, Logged("another", *[getattr(REQUEST, name) for name in Logged.__slots__[1:]]), b"p")
    assert halves.take_other(db, RESPONSE, b"p") is None
    assert len(halves.count(db)) == 2


def test_a_half_is_kept_once(db):
    assert [halves.keep(db, REQUEST, b"p") for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (of_rows(2), "the response has 2 rows, and its request has 1"),
        (of_rows(1, name="n"), "the response has a column 'n', and its request has one too"),
    ],
    ids=["rows", "names"],
)
def test_halves_that_do_not_fit_are_refused(db, response, told):
    halves.keep(db, REQUEST, b"p")
    with pytest.raises(BadBody, match=told):
        halves.take_other(db, response, b"p")


def test_a_half_that_the_disk_has_changed_becomes_no_event(db):
    halves.keep(db, REQUEST, b"p")
    db.execute("UPDATE half SET body = ?", (REQUEST.body.replace(b"1", b"2"),))
    with pytest.raises(BadBody, match="damaged"):
        halves.take_other(db, RESPONSE, b"p")


def test_what_came_up_to_a_number_expires_a_few_at_a_time(db, monkeypatch):
    monkeypatch.setattr(halves, "FEW", 2)
    for number in range(5):
        halves.keep(db, RESPONSE if number % 2 else REQUEST, bytes([number]))
    upto = halves.newest(db, "main") - 1
    sizes = [(half.is_request, len(half.body)) for half in (REQUEST, RESPONSE)]
    assert [halves.expire(db, "main", upto) for _ in range(3)] == [sizes, sizes, []]
    assert [(collector, number) for collector, number, *_ in halves.count(db)] == [("main", 1)]


def test_a_number_is_never_given_twice(db):
    """By its number a half is known to have waited long enough."""
    halves.keep(db, REQUEST, b"p")
    first = halves.newest(db, "main")
    db.execute("DELETE FROM half")
    halves.keep(db, REQUEST, b"q")
    assert halves.newest(db, "main") > first
