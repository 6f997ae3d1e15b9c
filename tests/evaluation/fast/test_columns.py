"""Where a column lies: the same values are at one place, others at another, and each place can be a key."""

import numpy as np
import pandas as pd
import pytest

from collector.evaluation.fast.columns import place_of

COLUMNS = {
    "numbers": pd.Series([1.0, 2.0]),
    "text": pd.Series(["a", None], dtype="str"),
    "text without a value": pd.Series([None, None], dtype="str"),
    "empty text": pd.Series(["", ""], dtype="str"),
    "no text at all": pd.Series([], dtype="str"),
    "labels": pd.Series(["a", "b"], dtype="category"),
    "objects": pd.Series([[1], None]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_lies_where_its_view_lies_and_a_copy_elsewhere(name):
    """A buffer without bytes is falsy: taken for none, it stood in the place itself, and can't be hashed."""
    column = COLUMNS[name]
    place = place_of(column)
    assert hash(place) == hash(place_of(column.rename("other")))
    assert place is None or len(column) == 0 or place != place_of(COLUMNS["numbers"].copy())


def test_what_has_no_place_that_we_know_has_none():
    assert place_of(pd.Series(np.array([1, 2]), dtype="Int64")) is None
