"""A snapshot has the time of its events where a column tells it."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from collector.evaluation.event_window import find_window
from collector.evaluation.part_files import Unreadable

from .conftest import LEGACY_DRIFT, MODERN_DRIFT

FIRST = datetime(2026, 2, 1, 10, tzinfo=UTC)
LAST = FIRST + timedelta(hours=5)
BOUNDS = (FIRST.timestamp(), LAST.timestamp())
NO_TIME = pd.NaT


def frames(*columns):
    return [pd.DataFrame({"n": range(len(one))} | ({} if one is None else {"ts": one})) for one in columns]


def found(make_job, *columns):
    return find_window(make_job(MODERN_DRIFT, frames(*columns), timestamp_column="ts"))


def test_the_window_goes_from_the_first_to_the_last_event_of_all_parts(make_job):
    window = found(make_job, [LAST, FIRST], [FIRST + timedelta(hours=1)])
    assert (window.bounds, window.notes) == (BOUNDS, ())


def test_parts_may_spell_their_times_differently(make_job):
    assert found(make_job, [LAST.isoformat()], [int(FIRST.timestamp() * 1000)]).bounds == BOUNDS


def test_what_lies_beyond_a_day_after_the_batch_is_no_time_and_noted(make_job):
    tomorrow = datetime(2026, 3, 2, 11, tzinfo=UTC)
    window = found(make_job, [FIRST, LAST, tomorrow + timedelta(seconds=1)])
    assert window.bounds == BOUNDS
    [note] = window.notes
    assert note.startswith("Column 'ts' of timestamp_column has no time in 1 of 3 values; a time lies between 1980")
    assert found(make_job, [FIRST, tomorrow]).bounds == (FIRST.timestamp(), tomorrow.timestamp())


@pytest.mark.parametrize("values", [[NO_TIME, NO_TIME], ["never", "soon"], [0, 7]])
def test_without_any_time_the_snapshot_has_that_of_arrival_and_says_so(make_job, values):
    window = found(make_job, values)
    assert window.bounds is None
    assert window.notes == (
        "Column 'ts' of timestamp_column has no time in any row: the snapshot has the time of arrival.",
    )


def test_a_column_that_isnt_there_is_said_to_have_no_time(make_job):
    job = make_job(MODERN_DRIFT, pd.DataFrame({"n": [1]}), timestamp_column="ts")
    assert find_window(job).notes[0].startswith("Column 'ts' of timestamp_column has no time in any row")


def test_without_a_timestamp_column_nothing_is_read(make_job):
    job = make_job(MODERN_DRIFT, pd.DataFrame({"n": [1]}), parts=["/nowhere"], timestamp_column=None)
    assert find_window(job).bounds is None


def test_a_damaged_part_is_told_as_that(make_job, tmp_path):
    job = make_job(MODERN_DRIFT, frames([FIRST]), timestamp_column="ts")
    (tmp_path / "part0.parquet").write_bytes(b"not parquet")
    with pytest.raises(Unreadable):
        find_window(job)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "config"), [("modern", MODERN_DRIFT), ("legacy", LEGACY_DRIFT)])
def test_a_snapshot_of_either_generation_has_the_time_of_its_events(evaluate, iris, tmp_path, name, config):
    at = pd.date_range(FIRST, LAST, len(iris))
    outcome = evaluate(config, iris.assign(ts=at).sample(frac=1, random_state=1), iris, timestamp_column="ts")
    body = json.loads((tmp_path / "snapshot.json").read_bytes())
    assert outcome["window"] == list(BOUNDS)
    assert datetime.fromisoformat(body["timestamp"]) == LAST.replace(tzinfo=None)
    window = body["metadata"]["window_start"], body["metadata"]["window_end"]
    assert tuple(map(datetime.fromisoformat, window)) == (FIRST, LAST)


@pytest.mark.filterwarnings("ignore")
def test_of_a_sample_the_window_is_that_of_all_rows(evaluate, iris):
    at = pd.date_range(FIRST, LAST, len(iris))
    outcome = evaluate(MODERN_DRIFT, iris.assign(ts=at), iris, timestamp_column="ts", sample={"rows": 20})
    assert outcome["window"] == list(BOUNDS)
