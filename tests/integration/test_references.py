"""A real service whose reference is made of its own rows: as Evidently has it, called by hand on the same rows."""

import pytest
from evidently import Report
from evidently.presets import DataDriftPreset

from .conftest import collector_config, rows_trigger

DRIFT = {"metrics": ["DataDriftPreset"]}


def test_batches_are_compared_with_the_rows_before_them_and_a_reference_that_is_sent_wins(daemon, iris):
    shuffled = iris.sample(frac=1, random_state=2, ignore_index=True)
    first, second, third = (shuffled[at : at + 50].reset_index(drop=True) for at in (0, 50, 100))
    rule = {"previous": 1, "min_rows": 50}
    config = collector_config(rows_trigger(50), DRIFT, reference_from=rule, export="all", dashboard=False)
    assert daemon.http.post("/made", json=config).status_code == 201
    daemon.client.send_data("made", first)
    [empty] = daemon.wait_for_logs("made", type_="CreateReport")
    assert (
        "there is no reference yet: it is made of the previous batch, and 0 of 50 rows are there" in empty["notes"][0]
    )
    daemon.client.send_data("made", second)
    daemon.wait_for_logs("made", 1)
    assert values(daemon) == pytest.approx(direct(second, first))
    told = daemon.status("made")["reference"]
    assert (told["from"], told["rows"]) == ("the previous batch", 50)
    daemon.client.set_reference("made", iris)
    daemon.client.send_data("made", third)
    daemon.wait_for_logs("made", 2)
    daemon.wait_until_delivered("made")
    assert values(daemon) == pytest.approx(direct(third, iris))
    assert daemon.status("made")["reference"] is None
    assert [one["state"] for one in daemon.http.get("/made/snapshots").json()] == ["delivered", "delivered", "empty"]


@pytest.mark.parametrize("address", ["s3://bucket/a.parquet", "file:///etc/a.parquet"])
def test_a_client_names_no_store(daemon, address):
    answer = daemon.http.post("/stored", json=collector_config(reference_path=address))
    assert answer.status_code == 400
    assert f"reference_path: '{address}' isn't the path of a file" in answer.json()["detail"]


def values(daemon):
    newest = daemon.http.get("/made/snapshots").json()[0]
    return {one["column"]: one["value"] for one in newest["exported"] if one["metric"] == "ValueDrift"}


def direct(current, reference):
    metrics = Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]
    return {one["config"]["column"]: float(one["value"]) for one in metrics if "ValueDrift" in one["metric_name"]}
