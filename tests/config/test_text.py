"""Documents as people type them, changed in one place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.config.text import has_member, place_of, with_member, with_new_key, without_member

TYPED = """{
    "autosave": true,   "collectors": {
        "a": {"trigger": {"rows_count": 5}, "tags": ["{", "\\"]"]},

        "b":
            {"x": 1}
    },
    "data_dir": "data"
}
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("autosave",), (2, 17)),
        (("collectors", "a", "trigger", "rows_count"), (3, 41)),
        (("collectors", "a", "tags", 1), (3, 59)),
        (("collectors", "b"), (6, 13)),
        (("collectors", "b", "missing", "deeper"), (6, 13)),
        (("data_dir", "no object"), (8, 17)),
    ],
)
def test_a_value_is_found_where_it_was_typed(path, place):
    assert place_of(TYPED, path) == place


def test_a_member_is_replaced_and_all_else_stays():
    changed = with_member(TYPED, ("collectors", "b"), {"x": 2})
    assert changed == TYPED.replace('{"x": 1}', '{\n            "x": 2\n        }')


def test_a_new_member_comes_last_with_the_indentation_of_the_document():
    changed = with_member(TYPED, ("collectors", "c"), {"y": []})
    assert changed == TYPED.replace('{"x": 1}', '{"x": 1},\n        "c": {\n            "y": []\n        }')


def test_objects_on_the_way_are_made():
    assert (
        with_member('{\n  "x": 1\n}', ("collectors", "a"), 2) == '{\n  "x": 1,\n  "collectors": {\n    "a": 2\n  }\n}'
    )
    assert with_member("{}", ("collectors", "a"), {"b": 2}) == '{"collectors": {"a": {"b": 2}}}'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"a": 1, "b": 2, "c": 3}', '{"a": 1, "c": 3}'),
        ('{"b": {"x": ["}"]},\n "c": 3}', '{"c": 3}'),
        ('{"a": 1,\n "b": 2}', '{"a": 1}'),
        ('{ "b": 2 }', "{}"),
    ],
)
def test_a_member_is_taken_out_with_its_comma(text, left):
    assert without_member(text, ("b",)) == left


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4), st.text(), JSON, st.sampled_from([None, 2, "\t"]))
def test_a_change_means_what_it_says(document, key, value, indent):
    text = json.dumps({"collectors": document}, indent=indent, ensure_ascii=False)
    assert json.loads(with_member(text, ("collectors", key), value)) == {"collectors": {**document, key: value}}
    gone = next(iter(document))
    left = {name: inner for name, inner in document.items() if name != gone}
    assert json.loads(without_member(text, ("collectors", gone))) == {"collectors": left}


def test_a_key_is_changed_where_it_stands():
    text = '{"collectors": {\n  "b" : {"x": [1,2]},\n  "a": {}}, "b": 1}'
    changed = with_new_key(text, ("collectors", "b"), 'c"')
    assert changed == '{"collectors": {\n  "c\\"" : {"x": [1,2]},\n  "a": {}}, "b": 1}'
    assert [has_member(changed, ("collectors", key)) for key in ('c"', "b", "a")] == [True, False, True]
    assert not has_member(changed, ("none", "b"))
