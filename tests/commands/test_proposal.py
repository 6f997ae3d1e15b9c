"""What columns are taken for; their names, types and values are those of real tables."""

import pyarrow as pa
import pytest

from collector.commands.proposal import Proposal, kind_of

ROWS = 60
WORDS = ["the", "parcel", "came", "late", "and", "the", "box", "was", "open", "said", "customer", "number"]


def repeated(*values):
    return [values[number % len(values)] for number in range(ROWS)]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("age", list(range(ROWS)), "numerical"),
        ("stars", repeated(1, 2, 3, 4, 5), "categorical"),
        ("churned", repeated(0.0, 1.0, None), "categorical"),
        ("width", [number / 7 for number in range(ROWS)], "numerical"),
        ("rate", repeated(0.5, 0.25), "numerical"),
        ("is_new", repeated(True, False), "categorical"),
        ("plan", repeated("basic", "pro"), "categorical"),
        ("review", [" ".join([*WORDS, str(number)]) for number in range(ROWS)], "text"),
        ("subject", repeated("late and open", "not what I ordered at all"), "categorical"),
        ("name", [f"person {number}" for number in range(ROWS)], "left out"),
        ("when", pa.array(range(ROWS), pa.timestamp("s")), "datetime"),
        ("day", pa.array(range(ROWS), pa.date32()), "datetime"),
        ("id", list(range(ROWS)), "id"),
        ("user_id", [f"u{number}" for number in range(ROWS)], "id"),
        ("userId", list(range(ROWS)), "id"),
        ("shop_id", repeated(1, 2, 3), "categorical"),
        ("paid", list(range(ROWS)), "numerical"),
        ("sparse", [*range(20), *[None] * 40], "left out"),
        ("nan", [1.5] * 20 + [float("nan")] * 40, "left out"),
        ("nothing", [None] * ROWS, "left out"),
        ("tags", [["a", "b"]] * ROWS, "left out"),
    ],
)
def test_a_column_is_taken_for_what_its_name_type_and_values_say(name, values, kind):
    assert kind_of(name, pa.table({name: values}).column(name)) == kind


def test_a_category_of_pandas_is_one():
    assert kind_of("a", pa.chunked_array([pa.array(["x", "y"]).dictionary_encode()])) == "categorical"


FEATURES = {"width": [number / 7 for number in range(ROWS)], "id": list(range(ROWS))}


def test_a_target_is_left_out_until_it_is_named_as_events_mostly_come_without_it():
    table = pa.table(FEATURES | {"Target": repeated(0, 1), "prediction": repeated(0, 0, 1)})
    proposal = Proposal(table)
    assert (proposal.likely_target, proposal.target, proposal.prediction) == ("Target", None, "prediction")
    assert (proposal.kinds["Target"], proposal.task) == ("left out", None)
    assert proposal.data_definition() == {
        "numerical_columns": ["width"],
        "categorical_columns": ["prediction"],
        "text_columns": [],
        "datetime_columns": [],
        "id_column": "id",
    }


@pytest.mark.parametrize(
    ("target", "prediction", "task"),
    [
        (repeated(1.5, 2.25), repeated(1.25, 2.5), {"regression": [{"target": "t", "prediction": "p"}]}),
        (
            repeated("a", "b", "c"),
            repeated("a", "b"),
            {"classification": [{"target": "t", "prediction_labels": "p"}]},
        ),
        (
            repeated("yes", "no"),
            repeated("yes", "no", "no"),
            {"classification": [{"target": "t", "prediction_labels": "p", "pos_label": "yes"}]},
        ),
        (
            repeated("ok", "ok", "fraud"),
            repeated("ok", "fraud"),
            {"classification": [{"target": "t", "prediction_labels": "p", "pos_label": "fraud"}]},
        ),
        (
            repeated(0, 1),
            repeated(0.25, 0.75),
            {"classification": [{"target": "t", "prediction_probas": "p", "pos_label": 1}]},
        ),
    ],
)
def test_a_target_and_a_prediction_make_a_task(target, prediction, task):
    proposal = Proposal(pa.table(FEATURES | {"t": target, "p": prediction}), "t", "p")
    assert {name: value for name, value in proposal.data_definition().items() if name in task} == task
    assert proposal.task in task
