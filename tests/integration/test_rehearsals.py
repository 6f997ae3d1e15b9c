"""A real service tells before any batch comes that a report fails on its own reference."""

from .conftest import collector_config, wait_until


def test_a_posted_column_that_the_reference_does_not_have_is_told_everywhere_and_refuses_nothing(daemon, iris):
    report = {"metrics": ["RowCount", {"type": "MeanValue", "column": "agee"}]}
    assert daemon.http.post("/rehearsed", json=collector_config(report=report)).status_code == 201
    daemon.client.set_reference("rehearsed", iris)
    (entry,) = wait_until(lambda: daemon.client.get_logs("rehearsed"), "the warning")
    told = "computed over its own reference: MeanValue of 'agee' could not be computed: the reference has no column"
    assert (entry["type"], entry["ok"], told in entry["notes"][0]) == ("CheckReport", False, True)
    assert wait_until(lambda: warnings_of(daemon, "rehearsed"), "the status") == entry["notes"]
    daemon.wait_for_log(told)


def warnings_of(daemon, collector_id):
    return next(one["warnings"] for one in daemon.client.status()["collectors"] if one["id"] == collector_id)
