"""Promise 1 for events from Kafka: kill -9 at any moment, with the disk or without, loses no row and doubles none."""

import json
import shutil
import subprocess

import pytest
from machine import PATIENCE

from collector.fault_points import VARIABLE

from ..conftest import BY_TALLY, collector_config, rows_trigger, service_config, wait_until

PROMISE = "1 kill -9, events from Kafka"
SUMS = {
    "metrics": [{"type": "RowCount"}, {"type": "SumValue", "column": "n"}, {"type": "SumValue", "column": "square"}]
}
# Where it dies, and whether it starts again without its disk.
LIVES = [
    ("taken over", False),
    ("fetched", False),
    ("sealed", True),
    ("published", True),  # so that the next has something to restore
    ("restored", False),
    ("delivered", True),
    ("finished", False),
]
SHORT = LIVES[3:6]


@pytest.fixture(scope="module")
def brokers():
    pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")
    from brokers import mock_brokers

    with mock_brokers() as brokers:
        yield brokers


def config(brokers, name, rows=50):
    kafka = brokers.config(name)
    kafka["librdkafka_options"] = {"session.timeout.ms": "3500", "heartbeat.interval.ms": "300", "log_level": "0"}
    brokers.make(name, kafka["ownership_topic"])
    collectors = {"main": collector_config(rows_trigger(rows), SUMS, kafka={"topics": [name]})}
    return service_config(collectors, kafka=kafka)


def produce(brokers, topic, numbers):
    for n in numbers:
        brokers.put(topic, json.dumps({"n": n, "square": n * n}).encode(), n % 4)
    brokers.flush()


def values(snapshots):
    """Return what the snapshots say of all rows together: how many, their sum, and that of their squares."""
    found = [[one["value"] for one in snapshot["metric_results"].values()] for snapshot in snapshots]
    return [sum(column) for column in zip(*found, strict=True)]


def wait_for_rows(daemon, rows):
    wait_until(lambda: sum(daemon.rows("main")) >= rows, f"{rows} rows: {daemon.log}")
    return daemon.snapshots("main")


@pytest.mark.thorough
def test_kills_between_any_two_stages_lose_no_row_and_double_none(make_daemon, brokers, is_long):
    daemon = make_daemon(config(brokers, "kills"))
    sent = 0
    for point, is_wiped in LIVES if is_long else SHORT:
        produce(brokers, "kills", range(sent, sent + 70))
        sent += 70
        daemon.variables = {VARIABLE: point}
        daemon.launch()
        try:
            daemon.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it never came to '{point}': {daemon.log}")
        if is_wiped:
            shutil.rmtree(daemon.data)
    produce(brokers, "kills", range(sent, 500))
    daemon.variables = {}
    daemon.start()
    snapshots = wait_for_rows(daemon, 500)
    assert daemon.rows("main") == [50] * 10
    assert values(snapshots) == [500, sum(range(500)), sum(n * n for n in range(500))]
    daemon.wait_for_status("main", lambda one: one["state"] == "waiting")
    assert daemon.http.post("/main/data", json=[{"n": 1}]).status_code == 409
    daemon.stop()


@pytest.mark.thorough
def test_what_is_posted_to_a_gateway_is_in_a_snapshot_and_503_while_there_are_no_brokers(make_daemon):
    """Brokers of its own, as they end."""
    pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")
    from brokers import mock_brokers

    with mock_brokers() as brokers:
        wanted = config(brokers, "gateway", rows=60)
        wanted["kafka"]["librdkafka_options"] |= {"message.timeout.ms": "1500"}
        wanted["collectors"]["main"]["kafka"]["gateway_topic"] = "gateway"
        daemon = make_daemon(wanted, evaluates=BY_TALLY)
        daemon.start()
        for n in range(30):
            answer = daemon.http.post("/main/data", json=[{"n": n, "square": n * n}, {"n": 30 + n, "square": 0}])
            assert answer.status_code == 201
        wait_for_rows(daemon, 60)
        assert daemon.rows("main") == [60]
        assert (
            daemon.http.post("/main/data", content=b"n\n1\n", headers={"Content-Type": "text/csv"}).status_code == 415
        )
        assert daemon.status("main")["kafka"]["gateway"] == "gateway"
        metrics = daemon.http.get("/metrics").text
        assert 'evidently_collector_kafka_takeovers_total{collector="main"} 1.0' in metrics
    answer = daemon.http.post("/main/data", json=[{"n": 1}])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "the Kafka brokers don't confirm the events" in answer.json()["detail"]
    assert daemon.http.get("/readyz").status_code == 200
    daemon.stop()
