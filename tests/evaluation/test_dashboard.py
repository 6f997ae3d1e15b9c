"""Panels for each number that a report has, by snapshots' files written for them; test_directory shows real ones."""

import json

import pytest

from collector.evaluation.dashboard import tab_of

OWN = {"collector": "churn", "report": "main", "segment": ""}


def result(metric, values=None, kind="SingleValue", **params):
    """Make what Evidently writes of a metric; its values matter only where they name labels."""
    location = {"metric": {"params": {"type": f"evidently:metric_v2:{metric}", **params}}, "param": {}}
    made = {"type": f"evidently:metric_result_v2:{kind}", "metric_value_location": location}
    return made | (values or {"value": 1.0})


@pytest.fixture
def tab(tmp_path):
    def make(*results, columns_max=12, **others):
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps({"metric_results": dict(enumerate(results))} | others), encoding="utf-8")
        return tab_of(str(path), "churn", columns_max, "Collector 'churn' computes something.")

    return make


@pytest.fixture
def shown(tab):
    """Return title, subtitle and series of each panel but the text."""

    def make(*results, **others):
        panels = tab(*results, **others)["panels"][1:]
        return [(one["title"], one["subtitle"], [series_of(value) for value in one["values"]]) for one in panels]

    return make


def series_of(value):
    return value["legend"], value["metric"].removeprefix("evidently:metric_v2:"), value["metric_labels"]


def drift(column, method="K-S p_value", threshold=0.05):
    return result("ValueDrift", column=column, method=method, threshold=threshold)


def test_the_first_panel_says_what_the_collector_is(tab):
    [panel] = tab()["panels"]
    assert (panel["title"], panel["subtitle"]) == ("churn", "Collector 'churn' computes something.")
    assert panel["plot_params"]["plot_type"] == "text"


def test_every_series_is_of_this_collector_and_its_main_report(tab):
    """Without both a UI mixes collectors, and the reports of one."""
    made = tab(result("RowCount"), drift("age"), result("Accuracy"))
    assert [value["metadata"] for panel in made["panels"] for value in panel["values"]] == [OWN] * 3


def test_panels_of_another_report_are_others_beside_those_of_the_main_one(tab):
    main, made = tab(result("RowCount")), tab(result("RowCount"), metadata={"report": "labels"})
    assert (main["collector"], made["collector"]) == ("churn", "churn: labels")
    assert [value["metadata"] for panel in made["panels"] for value in panel["values"]] == [OWN | {"report": "labels"}]
    assert {panel["id"] for panel in main["panels"]}.isdisjoint(panel["id"] for panel in made["panels"])


def test_what_is_of_the_whole_batch_comes_first_and_drift_and_rows_before_all(shown):
    share = {"count": {}, "share": {}}
    found = shown(
        drift("age"),
        result("MAE", {"mean": {}, "std": {}}, "MeanStdValue"),
        result("MissingValueCount", share, "CountValue", column="age"),
        result("DatasetMissingValueCount", share, "CountValue"),
        result("RowCount"),
        result("DriftedColumnsCount", share, "CountValue", drift_share=0.5),
    )
    by_share = {"value_type": "share"}
    assert found == [
        ("Share of drifted columns", None, [("Share of drifted columns", "DriftedColumnsCount", by_share)]),
        ("Rows per batch", None, [("Rows per batch", "RowCount", {})]),
        ("Share of missing values", None, [("Share of missing values", "DatasetMissingValueCount", by_share)]),
        ("MAE", None, [("MAE", "MAE", {"value_type": "mean"})]),
        ("Drift by K-S p_value", "A column has drifted below 0.05.", [("{{column}}", "ValueDrift", {"column": "age"})]),
        (
            "Share of missing values by column",
            None,
            [("{{column}}", "MissingValueCount", {"column": "age", **by_share})],
        ),
    ]


def test_numbers_of_one_scale_share_a_panel(shown):
    [quality, rates] = shown(*map(result, ("TPR", "Accuracy", "F1Score", "FNR")))
    assert [legend for legend, *_ in quality[2]] == ["Accuracy", "F1 score"]
    assert [legend for legend, *_ in rates[2]] == ["TPR", "FNR"]


def test_drift_that_is_measured_differently_is_not_compared(shown):
    """Of a test's p-value small ones are drift, of a distance large ones."""
    found = shown(drift("age"), drift("town", "Jensen-Shannon distance", 0.1), drift("income"))
    assert [(title, subtitle, [labels for *_, labels in series]) for title, subtitle, series in found] == [
        ("Drift by K-S p_value", "A column has drifted below 0.05.", [{"column": "age"}, {"column": "income"}]),
        ("Drift by Jensen-Shannon distance", "A column has drifted at 0.1 or more.", [{"column": "town"}]),
    ]


def test_of_many_columns_the_first_are_shown_and_the_rest_is_told(shown):
    [(_, subtitle, series)] = shown(*(result("MeanValue", column=f"c{number}") for number in range(60)), columns_max=5)
    assert [labels["column"] for *_, labels in series] == ["c0", "c1", "c2", "c3", "c4"]
    assert subtitle == "The first 5 of 60 columns."


def test_a_metric_of_several_parameters_has_a_panel_for_each(shown):
    quantiles = [result("QuantileValue", column=name, quantile=part) for name in ("a", "b") for part in (0.25, 0.5)]
    assert [(title, [labels for *_, labels in series]) for title, _, series in shown(*quantiles)] == [
        (f"Quantile value: {part}", [{"column": name, "quantile": part} for name in ("a", "b")])
        for part in ("0.25", "0.5")
    ]


def test_a_metric_of_the_whole_that_comes_several_times_says_how_they_differ(shown):
    """The one without a parameter fits the points of all: a service takes the first that fits, so it comes last."""
    kinds = [result("ColumnCount"), *(result("ColumnCount", column_type=kind) for kind in ("num", "cat"))]
    [(title, _, series)] = shown(*kinds)
    assert (title, [(legend, labels) for legend, _, labels in series]) == (
        "Column count",
        [
            ("Column count num", {"column_type": "num"}),
            ("Column count cat", {"column_type": "cat"}),
            ("Column count", {}),
        ],
    )


def test_labels_have_a_series_each(shown):
    labels = {"values": {"0": {}, "1": {}}}
    [(title, _, series)] = shown(result("F1ByLabel", labels, "ByLabelValue"))
    assert (title, series) == (
        "F1 by label",
        [("{{label}}", "F1ByLabel", {"label": "0"}), ("{{label}}", "F1ByLabel", {"label": "1"})],
    )


def test_labels_that_are_true_and_false_are_asked_for_as_services_write_them(shown):
    values = {str(label).lower(): {"metric_value_location": {"param": {"label": label}}} for label in (False, True)}
    [(_, _, series)] = shown(result("F1ByLabel", {"values": values}, "ByLabelValue"))
    assert [labels for _, _, labels in series] == [{"label": "False"}, {"label": "True"}]


def test_the_values_of_a_column_are_stacked(tab):
    counts = {"counts": {"a": {}}, "shares": {"a": {}, "b": {}, "c": {}}}
    [_, panel] = tab(result("UniqueValueCount", counts, "ByLabelCountValue", column="town"), columns_max=2)["panels"]
    assert (panel["title"], panel["subtitle"]) == ("Share of each value: town", "The first 2 of 3 values.")
    assert {"plot_type": "bar", "is_stacked": True}.items() <= panel["plot_params"].items()
    labels = [{"column": "town", "label": label, "value_type": "share"} for label in "ab"]
    assert [value["metric_labels"] for value in panel["values"]] == labels


def test_a_column_that_failed_in_the_first_batch_is_shown_as_the_others_are(shown):
    """It has a result without values, of another kind; the next batch may have values."""
    failed = result("MeanValue", {"values": {}}, "ByLabelValue", column="b")
    [(_, _, series)] = shown(result("MeanValue", column="a"), failed)
    assert [labels for *_, labels in series] == [{"column": "a"}, {"column": "b"}]
    assert shown(failed) == []


def test_what_a_panel_can_not_name_is_left_out(shown):
    """A failed descriptor or preset stands among the results, and metrics of the user's own have other types."""
    assert shown(result("RowCount") | {"metric_value_location": None}) == []
    own = result("x")
    own["metric_value_location"]["metric"]["params"]["type"] = "mine.Metric"
    assert shown(own) == []


def test_each_panel_has_an_id_of_its_own(tab):
    made = tab(drift("age", threshold=0.05), drift("town", threshold=0.1), result("RowCount"))
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"]) == 4


def test_a_file_that_is_no_modern_snapshot_is_refused(tmp_path):
    (tmp_path / "legacy.json").write_text('{"id": "x", "suite": {}}', encoding="utf-8")
    with pytest.raises(ValueError, match="isn't one of a modern report"):
        tab_of(str(tmp_path / "legacy.json"), "churn", 12, "")


def test_what_matters_most_of_the_whole_gets_a_panel_for_each_segment(tmp_path):
    """Not one with a series for each: a workspace directory shows the first of them only."""
    path = tmp_path / "snapshot.json"
    found = [result("RowCount"), result("Accuracy"), result("F1Score"), drift("age")]
    path.write_text(json.dumps({"metric_results": dict(enumerate(found))}), encoding="utf-8")
    panels = tab_of(str(path), "churn", 12, "", ["de", "other"])["panels"][1:]
    assert [one["title"] for one in panels] == [
        *("Rows per batch", "Quality of the classification"),
        *("Quality of the classification: de", "Quality of the classification: other", "Drift by K-S p_value"),
    ]
    for panel, segment in zip(panels[2:4], ("de", "other"), strict=True):
        assert {one["metadata"]["segment"] for one in panel["values"]} == {segment}
        assert [one["legend"] for one in panel["values"]] == ["Accuracy", "F1 score"]
    assert all(one["metadata"] == OWN for panel in (*panels[:2], panels[4]) for one in panel["values"])
