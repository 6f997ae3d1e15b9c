"""A piece of the matrix that takes seconds; ``nox -s fidelity`` runs all of it, over all that is declared to work."""

from collections import Counter

import pytest

from .cells import PRESETS, Cell, all_cells, evaluate
from .columns import BATCH, REFERENCE
from .comparing import compare

pytestmark = pytest.mark.filterwarnings("ignore")  # Evidently warns when it is called directly
WRONG = {"silent", "differs", "lacks", "fails", "lost"}
SMALL = [
    *(("integers", batch) for batch in ("floats", "text", "all null", "missing", "only in the batch")),
    ("text", "integers"),
    ("times", "iso times"),
    ("categories of integers", "integers"),
]


# A value of each kind of trouble, by each way to compute it; the others are what nox -s slow is for.
QUICK = {
    ("integers", "floats", "drift"),
    ("integers", "missing", "summary"),
    ("integers", "only in the batch", "drift"),
    ("integers", "text", "legacy drift tests"),
    ("text", "integers", "summary"),
    ("times", "iso times", "drift"),
}
# The drift of text takes 10 s; a quicker way to compute it is compared in tests/evaluation/fast/test_distances.py.
PIECE = [
    pytest.param(*pair, preset, marks=() if (*pair, preset) in QUICK else pytest.mark.slow)
    for pair in SMALL
    for preset in ("drift", "summary", "legacy drift tests")
    if (pair[0], preset) != ("text", "drift")
]


@pytest.mark.parametrize(("reference", "batch", "preset"), PIECE)
def test_each_value_is_evidentlys_and_what_has_none_says_so(tmp_path, reference, batch, preset):
    counts, said = evaluate(Cell(reference, batch, "json", preset), tmp_path)
    assert not WRONG & counts.keys(), said
    assert counts["equal"] > 0


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(one, marks=() if one in {"classification", "legacy stability tests"} else pytest.mark.slow)
        for one in sorted(PRESETS.keys() - {"drift", "summary", "legacy drift tests"})
    ],
)
def test_every_other_preset_is_as_tolerant(tmp_path, preset):
    counts, said = evaluate(Cell("integers", "all null", "json", preset), tmp_path)
    assert not WRONG & counts.keys(), said


def test_the_matrix_has_every_pair():
    cells = all_cells()
    assert len(cells) == len(set(cells)) == len(REFERENCE) * sum(map(len, BATCH.values())) * len(PRESETS)


@pytest.mark.parametrize(
    ("direct", "found", "notes", "counted"),
    [
        ({"m": ("value", 1.0)}, {"m": ("value", 1.0 + 1e-12)}, [], "equal"),
        ({"m": ("value", {"1": 2})}, {"m": ("value", {1: 2})}, [], "equal"),
        ({"m": ("value", 1.0)}, {"m": ("value", 1.1)}, [], "differs"),
        ({"m": ("value", 1.0)}, {"m": ("error", "")}, [], "fails"),
        ({"m": ("value", 1.0)}, {}, [], "lacks"),
        ({"m": ("error", "why")}, {"m": ("error", "")}, [], "evidently fails"),
        ({"m": ("error", "why")}, {"m": ("value", 1)}, [], "counts the rest"),
        ({"m": ("error", "why")}, {}, ["so"], "noted"),
        ({"m": ("error", "why")}, {}, [], "silent"),
        ({"m": ("value", 1.0)}, None, ["why"], "lost"),
        ({"the whole report": ("error", "why")}, None, ["why"], "lost"),
        ({"m": ("error", "why")}, None, ["why"], "evidently fails"),
    ],
)
def test_the_comparison_sees_each_kind_of_difference(direct, found, notes, counted):
    counts, said = compare(direct, found, notes)
    assert counts == Counter({counted: 1})
    assert bool(said) is (counted in WRONG - {"silent"})
