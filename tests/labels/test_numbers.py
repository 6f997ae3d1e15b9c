"""Numbers of keys: the same for the same text in whatever type, another for any other text or seed."""

import numpy as np
import pyarrow as pa

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


def test_what_is_no_key_has_no_number():
    assert numbers(pa.array([None, "", "a"]))[:2] == [NO_KEY, NO_KEY]
    assert numbers(pa.array([[1]])) == [NO_KEY]
    assert key_numbers(pa.table({"other": [1]}), KEYING).tolist() == [NO_KEY]
