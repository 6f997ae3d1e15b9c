"""What the operator's log says of failures and of columns that don't fit the reference."""

import numpy as np
import pandas as pd
import pytest

from collector.evaluation import notes
from collector.evaluation.uncomputed import Uncomputed

REFERENCE = pd.DataFrame({"age": [1.5, 2.5], "plan": ["a", "b"], "gone": pd.Categorical(["x", "y"])})
CURRENT = pd.DataFrame({"age": ["41", "n/a"], "plan": [np.nan, np.nan], "new": [True, False]})


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("age", ": why. 'age' is numbers in the reference and text in the batch (2 values: '41', 'n/a')."),
        ("plan", ": why. 'plan' is text in the reference."),
        ("gone", ": why. 'gone' is categories of text in the reference."),
        ("new", ": why. 'new' is booleans in the batch (2 values: True, False)."),
        ("nowhere", ": why"),
        (None, ": why"),
    ],
)
def test_a_failure_says_what_its_column_holds_on_both_sides(column, told):
    (note,) = notes.of_failures([Uncomputed("ValueDrift", column, "why")] * 2, CURRENT, REFERENCE, "the batch")
    assert note.endswith(f"could not be computed{told}")


def test_columns_that_do_not_fit_the_reference_are_told_with_their_kinds():
    assert list(notes.of_sides(CURRENT, REFERENCE, "the sample", failed=())) == [
        "Column 'plan' has no value in the sample; in the reference it is text.",
        "Column 'new' is only in the batch: it can't be compared; it is booleans there (2 values: True, False).",
        "Column 'gone' of the reference is missing in the batch; in the reference it is categories of text.",
    ]


def test_without_a_reference_only_what_is_empty_is_told():
    assert list(notes.of_sides(CURRENT, None, "the batch", failed=())) == ["Column 'plan' has no value in the batch."]
