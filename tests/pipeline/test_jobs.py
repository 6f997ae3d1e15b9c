"""The job that a worker gets for a batch."""

from pathlib import Path

from fakes import collector_config

from collector.pipeline.jobs import make_job
from collector.store.records import Batch

BASE = Path("/base")
BATCH = Batch("id", "main", "sealed", rows=3, opened=0.0, sealed=60.0)


def test_paths_start_at_the_configs_directory_and_times_are_utc():
    config = collector_config(reference_path="r.parquet", additional_data={"train": "t.parquet"})
    job = make_job(config, BASE, BATCH, [BASE / "p.parquet"], BASE / "s.json")
    assert (job["reference"], job["additional_data"]) == ("/base/r.parquet", {"train": "/base/t.parquet"})
    assert (job["parts"], job["snapshot_path"]) == (["/base/p.parquet"], "/base/s.json")
    assert (job["opened"], job["sealed"]) == ("1970-01-01T00:00:00.000+00:00", "1970-01-01T00:01:00.000+00:00")


def test_shortcuts_are_the_services_choice_and_in_older_configs_a_collectors():
    job = make_job(collector_config(reuse_drift=False), BASE, BATCH, (), BASE, fast_reports=True)
    assert (job["reuse_drift"], job["fast_reports"]) == (False, True)
    job = make_job(collector_config(), BASE, BATCH, (), BASE, fast_reports=False)
    assert (job["reuse_drift"], job["fast_reports"]) == (True, False)


def test_what_isnt_there_is_none_and_datasets_are_saved_where_they_are_taken():
    config = collector_config(reference_path=None, save_datasets=True)
    job = make_job(config, BASE, BATCH, (), BASE)
    assert (job["reference"], job["sample"], job["save_datasets"]) == (None, None, False)
    in_cloud = config.model_copy(update={"is_cloud": True})
    assert make_job(in_cloud, BASE, BATCH, (), BASE)["save_datasets"] is True


def test_it_has_what_is_done_to_columns_of_the_collectors_files():
    private = {"keep": None, "drop": ["name"], "hash": {}}
    assert make_job(collector_config(), BASE, BATCH, (), BASE, private=private)["private"] == private
    assert make_job(collector_config(), BASE, BATCH, (), BASE)["private"] is None
