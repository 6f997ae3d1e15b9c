import json

import pytest
from evidently import BinaryClassification, DataDefinition, MulticlassClassification, Recsys, Regression
from evidently.core.datasets import LLMClassification, ServiceColumns

from collector.evaluation.definition import read_column_mapping, read_data_definition
from collector.evaluation.reader import Reader


def read(value, read_one=read_data_definition):
    reader = Reader()
    return read_one(value, reader, []), reader.problems


def test_a_definition_survives_json_with_its_tasks():
    original = DataDefinition(
        id_column="i",
        numerical_columns=["n"],
        classification=[
            BinaryClassification(name="b", target="t", prediction_probas="p", pos_label="yes"),
            MulticlassClassification(name="m", target="t", prediction_labels="l", labels={"no": "n", "01": "y"}),
            MulticlassClassification(name="p", target="t", prediction_probas=["x", "y"]),
        ],
        regression=[Regression(target="y", prediction="z")],
        ranking=[Recsys(user_id="u")],
        llm=LLMClassification(input="q", target="a"),
        service_columns=ServiceColumns(trace_link="l"),
        embeddings={"e": ["x", "y"]},
    )
    assert read(json.loads(original.json())) == (original, [])


@pytest.mark.parametrize(
    ("item", "cls"),
    [
        ({"target": "t", "prediction_labels": "l"}, MulticlassClassification),
        ({"target": "t", "prediction_labels": "l", "pos_label": 1}, BinaryClassification),
        ({"target": "t", "prediction_probas": "p"}, BinaryClassification),
        ({"target": "t", "prediction_probas": ["p", "q"]}, MulticlassClassification),
        ({"type": "binary", "target": "t", "prediction_labels": "l"}, BinaryClassification),
        ({"type": "MulticlassClassification", "target": "t", "prediction_labels": "l"}, MulticlassClassification),
    ],
)
def test_a_classification_is_of_the_kind_that_its_type_or_its_fields_say(item, cls):
    definition, problems = read({"classification": [item]})
    assert problems == []
    assert type(definition.classification[0]) is cls


@pytest.mark.parametrize("label", [1, "1", "yes", True])
def test_a_positive_label_keeps_its_type(label):
    definition, problems = read({"classification": [{"target": "t", "prediction_labels": "l", "pos_label": label}]})
    assert (definition.classification[0].pos_label, problems) == (label, [])
    assert type(definition.classification[0].pos_label) is type(label)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"numeric_columns": ["a"]}, ["numeric_columns"]),
        ({"text_columns": "a"}, ["text_columns"]),
        ({"id_column": 5}, ["id_column"]),
        ({"regression": {"target": "y"}}, ["regression"]),
        ({"regression": [{"targt": "y"}]}, ["regression", 0, "targt"]),
        ({"regression": [{"target": ["y"]}]}, ["regression", 0, "target"]),
        ({"classification": [{"target": "y"}]}, ["classification", 0]),
        ({"classification": [{"type": "x"}]}, ["classification", 0, "type"]),
        ({"llm": {"input": "q"}}, ["llm", "target"]),
        ([], []),
    ],
    ids=str,
)
def test_mistakes_in_a_data_definition_are_named(value, path):
    assert path in [one["path"] for one in read(value)[1]]


def test_a_column_mapping_is_read_and_its_mistakes_are_named():
    mapping, problems = read({"target": "y", "prediction": ["p", "q"], "target_names": {"0": "n"}}, read_column_mapping)
    assert problems == []
    assert (mapping.target, mapping.prediction, mapping.datetime) == ("y", ["p", "q"], "datetime")
    for value, path in [
        ({"targt": "y"}, ["targt"]),
        ({"task": "x"}, ["task"]),
        ({"numerical_features": "a"}, ["numerical_features"]),
    ]:
        assert path in [one["path"] for one in read(value, read_column_mapping)[1]]
