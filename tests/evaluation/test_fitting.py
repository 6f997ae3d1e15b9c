import pandas as pd
import pytest
from evidently import DataDefinition, Dataset
from evidently.legacy.pipeline.column_mapping import ColumnMapping

from collector.evaluation.fitting import fit_definition, fit_frames, fit_mapping

FRAME = pd.DataFrame(
    {"n": [1.5, 2.5], "t": ["x", "y"], "at": pd.to_datetime(["2026-01-01", "2026-01-02"]), "empty": [None, None]}
)
WHOLE = {
    "numerical_columns": ["n"],
    "categorical_columns": [],
    "text_columns": ["t"],
    "datetime_columns": ["at"],
    "unknown_columns": ["empty"],
    "list_columns": [],
}


@pytest.mark.parametrize("definition", [None, DataDefinition(**WHOLE), DataDefinition(numerical_columns=["n"])])
def test_a_definition_that_the_batch_meets_stays_as_it_is(definition):
    assert fit_definition(definition, FRAME, "batch") == (definition, [])


def test_a_column_that_is_missing_leaves_the_definition():
    definition = DataDefinition(**WHOLE | {"numerical_columns": ["n", "gone"]}, timestamp="when")
    fitting, notes = fit_definition(definition, FRAME, "batch")
    assert (fitting.numerical_columns, fitting.timestamp) == (["n"], None)
    assert notes == [
        f"Column {name!r} of the data_definition is not in the batch: it is left out of the definition."
        for name in ("gone", "when")
    ]
    assert definition.numerical_columns == ["n", "gone"]


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_column_that_is_not_what_it_is_said_to_be_is_taken_by_its_values(is_whole):
    claims = {"numerical_columns": ["n", "t"]}
    definition = DataDefinition(**WHOLE | claims | {"text_columns": []} if is_whole else claims)
    fitting, notes = fit_definition(definition, FRAME, "batch")
    dataset = Dataset.from_pandas(FRAME, fitting)
    assert dataset.data_definition.numerical_columns == ["n"]
    assert dataset.data_definition.text_columns == ["t"]
    told = "Column 't' is numbers in the data_definition and holds values like 'x', 'y' in the batch: "
    assert notes == [told + "its type is found by its values."]


def test_booleans_are_no_numbers():
    """Evidently raises for the quantiles of booleans, and then makes no dataset at all."""
    frame = FRAME.assign(flag=[True, False])
    fitting, notes = fit_definition(DataDefinition(numerical_columns=["n", "flag"]), frame, "batch")
    assert Dataset.from_pandas(frame, fitting).data_definition.numerical_columns == ["n"]
    told = "Column 'flag' is numbers in the data_definition and holds values like True, False in the batch: "
    assert notes == [told + "its type is found by its values."]


def test_a_mapping_is_left_without_what_is_on_one_side_only():
    mapping = ColumnMapping(numerical_features=["n", "new"], target="new", prediction="n")
    fitting, notes = fit_mapping(mapping, FRAME.assign(new=1), FRAME)
    assert (fitting.numerical_features, fitting.target, fitting.prediction) == (["n"], None, "n")
    assert notes == [
        f"Column 'new' is not on both sides: it is left out of {name} in the column_mapping."
        for name in ("numerical_features", "target")
    ]


def test_a_role_that_evidently_can_not_read_is_given_up():
    """Evidently raises for the whole report if a regression's prediction is a category."""
    frame = pd.DataFrame({"y": [1.5, 2.5] * 20, "p": ["a", "b"] * 20})
    fitting, notes = fit_mapping(ColumnMapping(target="y", prediction="p", task="regression"), frame, frame)
    assert (fitting.target, fitting.prediction) == ("y", None)
    assert len(notes) == 1
    assert notes[0].startswith("The column_mapping's prediction 'p' can't be used for this batch: ")


def test_a_mapping_that_fits_is_the_same():
    mapping = ColumnMapping(target="n", numerical_features=["n"])
    assert fit_mapping(mapping, FRAME, FRAME) == (mapping, [])
    assert fit_mapping(None, FRAME, None) == (ColumnMapping(), [])


def test_categories_are_plain_values_for_an_evidently_that_can_not_read_them(monkeypatch):
    """Evidently 0.7.17 compares numpy's types, and raises for a category beside plain values."""
    frame = pd.DataFrame({"c": pd.Categorical([1, 2]), "n": [1, 2]})
    assert fit_frames(frame, None)[0] is frame

    def fail(*_):
        raise TypeError

    monkeypatch.setattr("collector.evaluation.fitting.create_data_definition", fail)
    current, reference = fit_frames(frame, frame)
    assert (list(current.dtypes), list(reference.dtypes)) == (["int64"] * 2, ["int64"] * 2)
