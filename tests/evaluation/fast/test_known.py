"""Which functions of Evidently are stood in for."""

import json

import pytest

from collector.evaluation.fast import known
from collector.evaluation.fast.taken import all_shortcuts

EVERY = all_shortcuts(is_modern=True)


def shortcut(**changes):
    place = "json:dumps"
    read = known.digest_of(json.dumps)
    fields = {"name": "texts", "places": (place,), "read": (place,), "digests": frozenset({read})}
    return known.Shortcut(**fields | {"make": lambda original: lambda value: f"short {original(value)}"} | changes)


def test_a_shortcut_stands_in_its_place_and_leaves_it_though_the_report_fails():
    before, notes = json.dumps, []
    shortcuts = [shortcut(make=lambda _: lambda _: 1 / 0)]
    with pytest.raises(ZeroDivisionError), known.standing_in(shortcuts, notes):
        json.dumps(1)
    assert (json.dumps, notes) == (before, [])


def test_what_it_makes_gets_the_original():
    with known.standing_in([shortcut()], []):
        assert json.dumps(1) == "short 1"


@pytest.mark.parametrize(
    "changes",
    [
        {"digests": frozenset({"0" * 16})},
        {"read": ("json:gone",)},
        {"read": ("no_such_module:dumps",)},
        {"read": ("json:JSONDecodeError.mro",)},
    ],
    ids=["another", "gone", "no module", "no source"],
)
def test_what_is_not_known_is_left_alone_and_that_is_said_in_one_sentence(changes):
    before, notes = json.dumps, []
    with known.standing_in([shortcut(**changes), shortcut(name="loads", **changes)], notes):
        assert json.dumps is before
    assert notes == [known.UNKNOWN.format("texts, loads")]


@pytest.mark.parametrize("one", EVERY, ids=[one.name for one in EVERY])
def test_each_shortcut_knows_the_installed_evidently(one):
    assert known.is_known(one.read, one.digests)


@pytest.mark.parametrize("one", EVERY, ids=[one.name for one in EVERY])
def test_all_places_of_a_shortcut_hold_one_function(one):
    assert len({id(known._found(place)[2]) for place in one.places}) == 1  # noqa: SLF001
