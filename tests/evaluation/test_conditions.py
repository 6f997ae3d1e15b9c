"""Tests as people write them are those that Evidently's own functions make, and what is wrong is told at its place."""

import json
import re
from pathlib import Path

import pytest
from evidently import Report
from evidently.core.datasets import Descriptor
from evidently.descriptors import ColumnTest, TextLength
from evidently.metrics import MAE, CategoryCount, F1ByLabel, MissingValueCount, UniqueValueCount
from evidently.tests import Reference, eq, gt, gte, is_in, lt, lte, not_eq, not_in

from collector.evaluation.catalogue import MODERN_METRICS
from collector.evaluation.conditions import CONDITIONS
from collector.evaluation.reader import LEFT_OUT, Reader
from collector.evaluation.report import read_modern

THRESHOLDS = [
    ({"gt": 3}, gt(3)),
    ({"gte": 0.5}, gte(0.5)),
    ({"lt": -1}, lt(-1)),
    ({"lte": 0}, lte(0)),
    ({"eq": 3}, eq(3)),
    ({"not_eq": 3}, not_eq(3)),
    ({"is_in": [1, 2.5, "a"]}, is_in([1, 2.5, "a"])),
    ({"not_in": ["a"]}, not_in(["a"])),
    ({"lt": {"reference": {"relative": 0.1}}}, lt(Reference(relative=0.1))),
    ({"eq": {"reference": {"absolute": 5}}}, eq(Reference(absolute=5))),
    ({"gt": {"reference": {}}}, gt(Reference())),
    ({"lt": 3, "is_critical": False}, lt(3, is_critical=False)),
]


def read(item, bases=MODERN_METRICS):
    reader = Reader()
    return reader.read(item, bases, ["m"]), [(one["path"][1:], one["message"]) for one in reader.problems]


def test_evidently_has_these_conditions_and_no_others():
    import evidently.tests

    assert {*CONDITIONS, "Reference"} == set(evidently.tests.__all__)


@pytest.mark.parametrize(("written", "made"), THRESHOLDS, ids=[str(written) for written, _ in THRESHOLDS])
def test_a_condition_is_what_evidently_makes_of_it(written, made):
    found, problems = read({"type": "MissingValueCount", "column": "age", "tests": [written]})
    wanted = MissingValueCount(column="age", tests=[made])
    assert problems == []
    assert (found, found.get_fingerprint()) == (wanted, wanted.get_fingerprint())


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ({"type": "MAE", "mean_tests": [{"lt": 5}]}, MAE(mean_tests=[lt(5)])),
        ({"type": "F1ByLabel", "tests": {"yes": [{"gt": 0.5}]}}, F1ByLabel(tests={"yes": [gt(0.5)]})),
        (
            {"type": "CategoryCount", "column": "c", "category": "x", "share_tests": [{"lt": 0.5}]},
            CategoryCount(column="c", category="x", share_tests=[lt(0.5)]),
        ),
        (
            {"type": "UniqueValueCount", "column": "c", "share_tests": {"x": [{"lt": 0.5}]}},
            UniqueValueCount(column="c", share_tests={"x": [lt(0.5)]}),
        ),
    ],
    ids=["mean and deviation", "by label", "share", "share by label"],
)
def test_conditions_stand_wherever_tests_do(written, made):
    found, problems = read(written)
    assert (found.get_fingerprint(), problems) == (made.get_fingerprint(), [])


def test_descriptors_take_them_too():
    written = {"type": "TextLength", "column_name": "t", "tests": [{"gt": 3, "alias": "long"}, {"not_eq": "x"}]}
    found, problems = read(written, (Descriptor,))
    assert (found, problems) == (TextLength("t", tests=[gt(3, alias="long"), not_eq("x")]), [])
    found, problems = read({"type": "ColumnTest", "column": "t", "condition": {"gt": 3}}, (Descriptor,))
    assert (found, problems) == (ColumnTest("t", gt(3)), [])


def test_a_test_that_is_read_fails_and_passes_as_evidently_says():
    import pandas as pd

    metric, _ = read({"type": "MissingValueCount", "column": "a", "tests": [{"lt": 3}, {"gte": 3}]})
    results = Report([metric]).run(pd.DataFrame({"a": [1.0, None, None, None]})).tests_results
    assert [result.status.value for result in results] == ["FAIL", "SUCCESS"]


WRONG = {
    "near": ([{"ltt": 3}], ["tests", 0, "ltt"], "did you mean 'lt'?"),
    "text": ([{"lt": "3"}], ["tests", 0, "lt"], "a number is expected, not a string"),
    "boolean": ([{"eq": True}], ["tests", 0, "eq"], "a number is expected, not a boolean"),
    "two": ([{"lt": 3, "gt": 1}], ["tests", 0], "2 conditions in one test"),
    "none": ([{}], ["tests", 0], 'no condition; write a condition, as {"lt": 3}'),
    "a name": (["lt"], ["tests", 0], 'write a condition, as {"lt": 3}, not a string'),
    "type": ([{"type": "lt", "threshold": 3}], ["tests", 0, "type"], "a condition has no 'type'"),
    "no list of values": ([{"is_in": 3}], ["tests", 0, "is_in"], "a list of numbers or texts"),
    "no list of tests": ({"lt": 3}, ["tests"], "a list is expected, not an object"),
    "margin": ([{"lt": {"reference": {"relativ": 1}}}], ["tests", 0, "lt", "reference", "relativ"], "'relative'"),
    "no margin": ([{"lt": {"reference": {"relative": 0}}}], ["tests", 0, "lt", "reference", "relative"], "above 0"),
    "no reference": ([{"lt": {"relative": 0.1}}], ["tests", 0, "lt"], '{"reference": {"relative": 0.1}}'),
    "type near": ([{"type": "LessThan", "threshold": 3}], ["tests", 0], 'did you mean "LessThanMetricTest"?'),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_at_its_place(name):
    tests, path, message = WRONG[name]
    found, problems = read({"type": "MissingValueCount", "column": "age", "tests": tests})
    assert (found, [where for where, _ in problems]) == (LEFT_OUT, [path])
    assert message in problems[0][1]


def test_a_descriptor_has_no_reference():
    tests = [{"lt": {"reference": {"relative": 0.1}}}]
    found, problems = read({"type": "TextLength", "column_name": "t", "tests": tests}, (Descriptor,))
    assert (found, problems[0][0]) == (LEFT_OUT, ["tests", 0, "lt"])


def test_what_the_guide_shows_is_read():
    guide = (Path(__file__).parents[2] / "examples" / "tests_and_thresholds.md").read_text(encoding="utf-8")
    shown, reader = re.search(r"```json\n(.*?)```", guide, re.DOTALL), Reader()
    assert len(read_modern(json.loads(shown[1]), reader).metrics) == 6
    assert reader.problems == []
    assert [name for name in CONDITIONS if f"`{name}`" not in guide] == []
