"""Numbers of keys: the same for the same text in whatever type, another for any other text or seed."""

import numpy as np
import pyarrow as pa

from collector.formats.private import hashed
from collector.labels.exchange import Keying
from collector.labels.numbers import NO_KEY, key_numbers

KEYING = Keying("id", 3)


def numbers(values, keying=KEYING):
    return key_numbers(pa.table({"id": values}), keying).tolist()


def test_a_key_has_one_number_whatever_its_type_and_wherever_its_column_is_cut():
    assert numbers(pa.array([1, 22])) == numbers(pa.array([1.0, 22.0])) == numbers(pa.array(["1", "22.0"]))
    texts = [f"{'x' * length}{length}" for length in range(40)]
    whole = numbers(pa.array(texts))
    assert numbers(pa.array(["before", *texts]).slice(1)) == whole
    assert [number for text in texts for number in numbers(pa.array([text]))] == whole


def test_keys_that_differ_anywhere_have_different_numbers():
    keys = [f"{number:040d}" for number in range(100_000)] + [str(number) for number in range(100_000)]
    assert len(np.unique(numbers(pa.array(keys)))) == len(keys)
    assert numbers(pa.array(["a"])) != numbers(pa.array(["a"]), KEYING.other)


def test_a_key_that_came_before_keys_were_hashed_has_the_number_of_its_hash():
    keying = KEYING._replace(digest="d", secret="salt")
    stands_for = hashed(b"7", b"salt")
    came = [pa.array([7]), pa.array([7.0]), pa.array(["7"]), pa.array([stands_for]), pa.array([stands_for, "7", None])]
    of_each = [numbers(some, keying) for some in came]
    assert of_each == [numbers(pa.array([stands_for]))] * 4 + [numbers(pa.array([stands_for] * 2 + [None]))]


def test_how_keys_were_made_is_told_by_a_name():
    keying = KEYING._replace(digest="d", secret="salt")
    assert keying.called(keying.name) == keying
    assert keying.called("id") == KEYING
    assert keying.called("other") == Keying("other", KEYING.seed)
    assert len({keying.salt, KEYING.salt, keying._replace(digest="e").salt}) == 3


def test_what_is_no_key_has_no_number():
    assert numbers(pa.array([None, "", "a"]))[:2] == [NO_KEY, NO_KEY]
    assert numbers(pa.array([[1]])) == [NO_KEY]
    assert key_numbers(pa.table({"other": [1]}), KEYING).tolist() == [NO_KEY]
