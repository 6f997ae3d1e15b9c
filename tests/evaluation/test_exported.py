import pytest

from collector.evaluation.exported import MAX_LABEL, MAX_SERIES, exported

VALUES = [
    {"metric": metric, "column": column, "label": label, "value": float(number)}
    for number, (metric, column, label) in enumerate(
        [
            ("RowCount", "", ""),
            ("DriftedColumnsCount", "", "count"),
            ("DriftedColumnsCount", "", "share"),
            ("ValueDrift", "age", ""),
            ("ValueDrift", "plan", ""),
            ("ValueDrift", "sent by a client", ""),
        ]
    )
]
CONFIG = {"metrics": ["DataDriftPreset"]}


def names(export, reference=("age", "plan"), config=CONFIG):
    return [(one["metric"], one["column"], one["label"]) for one in exported(VALUES, export, reference, config)]


@pytest.mark.parametrize(
    ("export", "asked"),
    [
        ([], []),
        (["RowCount"], [("RowCount", "", "")]),
        ([{"type": "ValueDrift", "column": "plan"}], [("ValueDrift", "plan", "")]),
        ([{"type": "DriftedColumnsCount", "label": "share"}], [("DriftedColumnsCount", "", "share")]),
        (["Accuracy"], []),
    ],
)
def test_what_is_asked_for_is_exported(export, asked):
    assert names(export) == asked


def test_a_column_that_a_client_made_is_no_series():
    assert ("ValueDrift", "sent by a client", "") not in names("all")
    assert len(names("all")) == len(VALUES) - 1
    assert names(["ValueDrift"], reference=()) == []


@pytest.mark.parametrize("config", [{"metrics": [{"column": "plan"}]}, {"numerical_columns": ["plan"]}, {"plan": 1}])
def test_without_a_reference_the_columns_are_those_that_the_config_names(config):
    assert names(["ValueDrift"], (), config) == [("ValueDrift", "plan", "")]
    assert names([{"type": "ValueDrift", "column": "age"}], ()) == [("ValueDrift", "age", "")]


def test_series_are_few_and_their_names_short_and_their_own():
    values = [{"metric": "M", "column": "", "label": f"{n:04}" + "x" * 200, "value": 1.0} for n in range(300)]
    found = exported([*values, *values], "all", (), CONFIG)
    assert len(found) == MAX_SERIES == len({one["label"] for one in found})
    assert {len(one["label"]) for one in found} == {MAX_LABEL}
