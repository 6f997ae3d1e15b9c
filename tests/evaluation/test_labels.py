"""Quality of predictions whose labels came later: Evidently's presets over joined rows say what scikit-learn says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.linear_model import LinearRegression
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.tree import DecisionTreeClassifier

from collector.formats.frames import decode_frames
from collector.labels.exchange import BatchFiles, Keying, LabelFile, Wanted
from collector.labels.indexing import index_batch
from collector.labels.joining import join
from collector.store.parts import write

KEYING = Keying("request_id", 7)


@pytest.fixture
def joined(tmp_path):
    """Join labels to predictions as the service does: the keys are numbers on one side and text on the other."""

    def run(predictions, labels):
        paths = []
        keys = np.arange(len(predictions))
        for name, frame in (("events", predictions.assign(request_id=keys)), ("labels", labels)):
            path = tmp_path / f"{name}.parquet"
            write(decode_frames([("json", json.dumps(frame.to_dict("list")).encode())]), path)
            paths.append(str(path))
        base = str(tmp_path / "keys")
        index_batch(paths[:1], KEYING, base)
        label = LabelFile(paths[1], str(tmp_path / "labels.keys"))
        wanted = Wanted(("target",), "last")
        done = join(BatchFiles(paths[:1], base), [label], KEYING, wanted, str(tmp_path / "joined"))
        return [part.path for part in done.parts]

    return run


def late(target, share=0.95):
    """Return the labels of most rows, in another order."""
    known = np.random.default_rng(0).permutation(len(target))[: round(share * len(target))]
    return pd.DataFrame({"request_id": [str(row) for row in known], "target": [target[row] for row in known]})


def values(outcome):
    return {(one["metric"], one["label"]): one["value"] for one in outcome["exported"] if not one["column"]}


def test_classification(joined, evaluate):
    flowers = load_iris(as_frame=True)
    species = flowers.target_names[flowers.target].tolist()
    predicted = DecisionTreeClassifier(max_depth=2, random_state=0).fit(flowers.data[::2], species[::2])
    predictions = flowers.data.assign(prediction=predicted.predict(flowers.data))
    labels = late(species)
    task = {"classification": [{"target": "target", "prediction_labels": "prediction"}]}
    outcome = evaluate(
        {"metrics": ["ClassificationPreset"]},
        [],
        parts=joined(predictions, labels),
        data_definition=task,
        export="all",
        report="labels",
        labels={"rows": len(species), "labelled_rows": len(labels), "closed_by": "share"},
    )
    truth, guess = labels["target"], predictions["prediction"].iloc[labels["request_id"].astype(int)]
    found = values(outcome)
    assert outcome["rows"] == len(labels)
    assert found["Accuracy", ""] == pytest.approx(accuracy_score(truth, guess))
    assert found["F1Score", ""] == pytest.approx(f1_score(truth, guess, average="macro"))


def test_regression_with_a_reference_that_has_the_target_and_one_that_has_not(joined, evaluate, tmp_path):
    patients = load_diabetes(as_frame=True)
    model = LinearRegression().fit(patients.data[:200], patients.target[:200])
    predictions = patients.data.assign(prediction=model.predict(patients.data))
    labels = late(patients.target.tolist())
    parts = joined(predictions, labels)
    rows = labels["request_id"].astype(int)
    truth, guess = labels["target"], predictions["prediction"].iloc[rows]
    expected = {
        ("MAE", "mean"): mean_absolute_error(truth, guess),
        ("RMSE", ""): root_mean_squared_error(truth, guess),
        ("R2Score", ""): r2_score(truth, guess),
    }
    whole = predictions[:200].assign(target=patients.target[:200])
    for reference in (whole, whole.drop(columns="target")):
        outcome = evaluate(
            {"metrics": ["RegressionPreset"]},
            [],
            reference,
            parts=parts,
            data_definition={"regression": [{"target": "target", "prediction": "prediction"}]},
            export="all",
            report="labels",
            label_columns=["target"],
        )
        found = values(outcome)
        assert any("has no column 'target'" in note for note in outcome["notes"]) == ("target" not in reference)
        assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_ranking(joined, make_job, evaluate):
    """The wines of each grower are ranked by their proline; the strong ones are what was looked for."""
    wines = load_wine(as_frame=True)
    predictions = pd.DataFrame(
        {"user": wines.target.to_numpy(), "item": np.arange(len(wines.data)), "prediction": wines.data["proline"]}
    )
    strong = (wines.data["alcohol"] > 13).astype(int).tolist()
    labels = late(strong)
    task = {"ranking": [{"user_id": "user", "item_id": "item", "target": "target", "prediction": "prediction"}]}
    evaluate(
        {"metrics": [{"type": "PrecisionTopK", "k": 5}]},
        [],
        parts=joined(predictions, labels),
        data_definition=task,
        export="all",
        report="labels",
    )
    known = predictions.iloc[labels["request_id"].astype(int)].assign(target=labels["target"].to_numpy())
    best = known.sort_values("prediction", ascending=False).groupby("user").head(5)
    expected = best.groupby("user")["target"].mean().mean()
    snapshot = json.loads(Path(make_job({}, [])["snapshot_path"]).read_bytes())
    [result] = snapshot["metric_results"].values()
    shown = [one for widget in result["widget"] for one in widget["params"].get("counters", ())]
    assert [float(one["value"]) for one in shown if one["label"] == "current"] == [pytest.approx(expected)]


def test_the_snapshot_says_of_how_many_rows_it_is(joined, make_job, evaluate):
    parts = joined(pd.DataFrame({"prediction": [1.0, 2.0, 3.0]}), late([1.0, 2.0, 3.0], share=0.7))
    told = {"rows": 3, "labelled_rows": 2, "closed_by": "wait", "repeated": 0, "replaced": 0, "disputed": 0}
    job = {"parts": parts, "report": "labels", "labels": told}
    evaluate({"metrics": ["RowCount"]}, [], **job)
    snapshot = json.loads(Path(make_job({}, [])["snapshot_path"]).read_bytes())
    metadata = snapshot["metadata"]
    assert {name: metadata[name] for name in ("report", "rows", "labelled_rows", "closed_by")} == {
        "report": "labels",
        "rows": "3",
        "labelled_rows": "2",
        "closed_by": "wait",
    }
