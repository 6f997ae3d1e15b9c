"""A report computed over its own reference, before any batch has come."""

import pyarrow.parquet as pq
import pytest

from collector.evaluation import worker
from collector.evaluation.rehearsal import ROWS, staged


@pytest.fixture
def rehearse(make_job, iris):
    """Rehearse a report over iris; its own columns are numbers."""

    def run(config, frame=iris, **others):
        return worker.rehearse(make_job(config, frame[:1], frame, **others))

    return run


def test_a_sound_report_has_nothing_to_tell(rehearse):
    assert rehearse({"metrics": ["DataDriftPreset", "DataSummaryPreset"]}) == {"failed": [], "left_out": []}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"metrics": ["RowCount", {"type": "MeanValue", "column": "agee"}]}, "the reference has no column 'agee'"),
        ({"metrics": ["RowCount", {"type": "ValueDrift", "column": "sepal_length", "method": "pis"}]}, "pis"),
        ({"metrics": ["RowCount"], "descriptors": [{"type": "TextLength", "column_name": "txt"}]}, "'txt'"),
        ({"metrics": ["RowCount", "ClassificationPreset"]}, "ClassificationPreset"),
        ({"metrics": [{"type": "MeanValue", "column": "agee"}]}, "nothing of the report can be computed"),
        (
            {
                "metrics": [
                    {
                        "type": "evidently:metric:ColumnDriftMetric",
                        "column_name": "sepal_length",
                        "stattest": "kss",
                    },
                    {"type": "evidently:metric:DatasetMissingValuesMetric"},
                ],
                "tests": [],
                "options": {},
                "metadata": {},
                "tags": [],
            },
            "kss",
        ),
    ],
    ids=["metric", "method", "descriptor", "target", "all", "stattest"],
)
def test_a_name_that_the_reference_or_evidently_does_not_know_is_told(rehearse, config, told):
    """check said "all good", and each batch failed."""
    assert any(told in sentence for sentence in rehearse(config)["failed"])


_LEGACY = {"metrics": ["DatasetMissingValuesMetric"], "tests": [], "options": {}}


@pytest.mark.parametrize(
    ("config", "others", "told"),
    [
        (
            {"metrics": ["RowCount"]},
            {"data_definition": {"numerical_columns": ["agee"]}},
            "data_definition.numerical_columns",
        ),
        ({"metrics": ["RowCount"]}, {"data_definition": {"timestamp": "agee"}}, "data_definition.timestamp"),
        (_LEGACY, {"column_mapping": {"numerical_features": ["agee"]}}, "column_mapping.numerical_features"),
        (_LEGACY, {"column_mapping": {"target": "agee"}}, "column_mapping.target"),
        ({"metrics": [{"type": "DataDriftPreset", "per_column_method": {"agee": "psi"}}]}, {}, "per_column_method"),
    ],
    ids=["definition", "role", "mapping", "target", "per column"],
)
def test_a_name_that_evidently_leaves_out_without_a_word_is_told(rehearse, config, others, told):
    """check said "all good", and what the config says of the column had no effect."""
    assert rehearse(config, **others)["failed"] == [f"the reference has no column 'agee', which {told} names"]


def test_what_a_dumped_mapping_says_by_default_is_no_mistake(rehearse):
    mapping = {"target": "target", "prediction": "prediction", "user_id": "user_id", "item_id": "item_id", "id": None}
    assert rehearse(_LEGACY, column_mapping=mapping)["failed"] == []


def test_a_provider_is_never_asked_and_that_is_said(rehearse, iris, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-used")
    config = {
        "descriptors": [{"type": "NegativityLLMEval", "column_name": "text"}],
        "metrics": ["RowCount", {"type": "UniqueValueCount", "column": "Negativity"}],
    }
    done = rehearse(config, iris.assign(text="fine"))
    assert (done["failed"], len(done["left_out"])) == ([], 1)
    assert "Negativity" in done["left_out"][0]


def test_a_report_of_labels_is_not_tried_on_a_reference_without_them(rehearse):
    config = {"metrics": [{"type": "MeanValue", "column": "sepal_length"}, {"type": "MeanValue", "column": "agee"}]}
    lacking = rehearse(config, label_columns=["bought"])
    assert lacking == {"failed": [], "left_out": ["not tried, as the reference lacks columns of labels"]}
    [failed] = rehearse(config, label_columns=["sepal_width"])["failed"]
    assert "'agee'" in failed


def test_a_large_reference_is_sampled(make_job, iris):
    large = iris.sample(ROWS * 3, replace=True, random_state=0, ignore_index=True)
    with staged(make_job({"metrics": ["RowCount"]}, large[:1], large)) as job:
        assert [pq.read_metadata(path).num_rows for path in (*job["parts"], job["reference"])] == [ROWS, ROWS]
