import pytest
from fakes import collector_config

from collector.commands import chance
from collector.errors import EvaluationError


class FakeWorkers:
    """Says of each size how many of a hundred columns were called drifted; None if it is too large."""

    def __init__(self, drifted):
        self.drifted = drifted

    async def count_false_alarms(self, job, rows, draws):
        assert job["report_config"]["metrics"] == ["DataDriftPreset"]
        if isinstance(self.drifted, Exception):
            raise self.drifted
        count = self.drifted.get(rows)
        return count if count is None else {"draws": draws, "draws_with_drift": 7, "columns": 100, "drifted": count}


@pytest.fixture
def advice(monkeypatch, tmp_path):
    def advice(drifted, rows=50, metrics=("RowCount", "DataDriftPreset"), reference_path="r.parquet"):
        class Opened:
            def __init__(self, *_):
                pass

            async def __aenter__(self):
                return FakeWorkers(drifted)

            async def __aexit__(self, *_):
                pass

        monkeypatch.setattr(chance, "open_workers", Opened)
        config = collector_config(report_config={"metrics": list(metrics)}, reference_path=reference_path)
        return chance.advice_on_size(config, rows, tmp_path)

    return advice


def test_a_size_that_does_is_said_to(advice):
    [said] = advice({50: 5})
    assert said == (
        "Of 10 batches of 50 rows drawn from the reference itself, 7 had a column that was called drifted "
        "(5 of 100 columns). That is little: the size will do."
    )


def test_a_size_that_is_too_small_is_warned_of_and_another_proposed(advice):
    warning, proposal = advice({50: 60, 100: 30, 200: 9})
    assert warning.endswith("(60 of 100 columns). Batches this small don't tell drift from chance.")
    assert proposal == "With 200 rows it is 9 of 100 columns: take --trigger rows:200."


def test_a_reference_that_is_too_small_is_told(advice):
    assert advice({50: 60, 100: 30})[1].startswith("The reference is too small to find a size that does")
    assert advice({}) == []


def test_nothing_is_said_where_there_is_nothing_to_say(advice):
    assert advice({50: 99}, metrics=["RowCount"]) == []
    assert advice({50: 99}, reference_path=None) == []
    assert advice(EvaluationError("the report fails")) == []
