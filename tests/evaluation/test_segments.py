"""How rows are divided: by values as people write them, by edges, and the rest."""

import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from collector.evaluation.matching import columns_of_frame, columns_of_table
from collector.evaluation.segments import ByEdge, ByValue, Undivided, codes_in, division_of, snapshot_id, spelled


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array(["de", "", None, "fr"]), ["de", None, None, "fr"]),
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), ["b", "a", None, "b"]),
        (pa.array([1, 20, None]), ["1", "20", None]),
        (pa.array([1.0, 1.5, float("nan"), None]), ["1", "1.5", None, None]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([0, 1767225600, None], pa.timestamp("s")), ["1970-01-01", "2026-01-01", None]),
        (
            pa.array([1767225600_500_000, 1767225661_000_000], pa.timestamp("us")),
            ["2026-01-01 00:00:00.5", "2026-01-01 00:01:01"],
        ),
    ],
    ids=["text", "categories", "integers", "floats", "booleans", "days", "times"],
)
def test_values_are_spelt_as_people_write_them(values, texts):
    assert spelled(values).to_pylist() == texts


def divided(segments, batch, reference=None):
    """Return the names of the segments that the values of a batch are in."""
    whole = {"column": "c", "values": None, "edges": None, "max": 20, "min_rows": 1} | segments
    known = None if reference is None else columns_of_frame(pd.DataFrame({"c": reference}))
    division = division_of(whole, known)
    codes = codes_in(division, columns_of_table(pa.table({"c": batch})), "c", "the batch")
    return [[*division.names, "other"][code] for code in codes]


def test_the_most_frequent_values_of_the_reference_are_segments_and_the_rest_is_other():
    reference = ["de"] * 5 + ["fr"] * 4 + ["it"] * 3 + ["other"] * 9 + [None] * 9
    assert divided({"max": 2}, ["it", "de", None, "fr", "us", "other"], reference) == [
        *("other", "de", "other", "fr", "other", "other")
    ]


def test_of_values_that_are_as_frequent_the_first_by_name_is_one_whatever_their_order():
    for reference in (["b", "a", "c"], ["c", "b", "a"]):
        assert division_of(
            {"column": "c", "max": 2, "min_rows": 1}, columns_of_frame(pd.DataFrame({"c": reference}))
        ).names == ["a", "b"]


def test_a_value_that_is_too_rare_in_the_reference_is_in_the_rest():
    assert divided({"min_rows": 2}, ["a", "b"], ["a", "a", "b"]) == ["a", "other"]


def test_named_values_are_segments_whatever_type_the_column_has():
    assert divided({"values": [1, "2", 3.0]}, pa.array([1.0, 2.0, 3.0, 4.0])) == ["1", "2", "3", "other"]
    assert divided({"values": [True]}, pa.array([True, False, None])) == ["true", "other", "other"]


def test_numbers_are_divided_by_edges_each_with_the_lower_one():
    found = divided({"edges": [0, 18, 65.5]}, pa.array([-1, 0, 17.9, 18, 65.5, 1000, None, float("nan")]))
    assert found == ["below 0", "0 to 18", "0 to 18", "18 to 65.5", "65.5 and more", "65.5 and more", "other", "other"]
    assert ByEdge([5.0]).names == ["below 5", "5 and more"]


@pytest.mark.parametrize(
    ("segments", "batch", "reference", "message"),
    [
        ({}, ["a"], None, "there is no reference to take the segments from; name them in segments.values"),
        ({"edges": [1]}, ["a"], None, "edges divide numbers, and the batch has text there"),
    ],
    ids=["no reference", "text"],
)
def test_what_can_not_be_divided_is_told(segments, batch, reference, message):
    with pytest.raises(Undivided, match=message):
        divided(segments, batch, reference)


def test_a_column_that_is_not_there_is_told():
    with pytest.raises(Undivided, match="the batch doesn't have that column"):
        codes_in(ByValue(["a"]), columns_of_table(pa.table({"b": [1]})), "c", "the batch")
    with pytest.raises(Undivided, match="the reference doesn't have that column"):
        division_of({"column": "c"}, columns_of_frame(pd.DataFrame({"b": [1]})))


def test_a_text_that_is_too_long_for_a_name_is_in_the_rest():
    assert divided({}, ["a", "x" * 201], ["a", "x" * 201, "x" * 201]) == ["a", "other"]


def test_a_snapshots_id_is_the_same_each_time_and_another_for_each_segment_and_batch():
    batches = [str(uuid.UUID(int=number)) for number in (1, 2)]
    ids = [snapshot_id(batch, name) for batch in batches for name in ("de", "fr")]
    assert len(set(ids)) == 4
    assert snapshot_id(batches[0], "de") == str(uuid.uuid5(uuid.UUID(int=1), "de")) == ids[0]


def test_a_million_rows_are_divided_in_a_moment():
    values = pa.array(np.random.default_rng(0).choice(["de", "fr", "it"], 1_000_000))
    codes = ByValue(["de", "fr"]).codes_of(values)
    assert np.bincount(codes).sum() == 1_000_000
