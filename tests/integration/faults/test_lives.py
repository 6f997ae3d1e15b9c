"""Promise 24: a collector that is retried, deleted, added again and edited while it is at work does each once."""

import contextlib
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pyarrow.parquet as pq
import pytest

from ..conftest import NEVER, interval_trigger, rows_trigger, service_config
from .audit import REPORT
from .conftest import numbered, wait_for_delivery
from .ledger import NUMBER, Load, json_body, post, table

PROMISE = "24 lives of an id"


def let_go(ledger):
    """Look no more for what a deleted collector had: it is gone, or in a snapshot that was delivered before."""
    ledger.acknowledged.clear()


def test_two_retries_at_once_evaluate_each_failed_batch_once(make_daemon, ledger, audit, figures, is_long):
    hopeless = numbered(rows_trigger(2), report_config={"metrics": [{"type": "MinValue", "column": "lacking"}]})
    daemon = make_daemon(service_config({"main": hopeless})).start()
    for _ in range(5 if is_long else 2):
        daemon.create("main", hopeless)
        for _ in range(3):
            assert post(daemon.http, ledger, "main", 2) == 201
        daemon.wait_for_status("main", lambda one: one["failed"] == 3)
        daemon.create("main", numbered(rows_trigger(2)))
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: daemon.http.post("/main/failed"), range(8)))
        assert {answer.status_code for answer in answers} == {202}
        assert sorted(len(answer.json()) for answer in answers) == [0] * 7 + [3]
        daemon.wait_for_status("main", lambda one: (one["failed"], one["sealed"], one["outbox"]) == (0, 0, 0))
        figures.faults["retries at once"] += 8
    figures.take(audit(daemon))
    assert not list((daemon.data / "failed").iterdir())
    daemon.stop()


@pytest.mark.thorough
def test_a_collector_that_is_deleted_while_it_is_evaluated_leaves_nothing_to_the_next(
    make_daemon, ledger, audit, figures, is_long
):
    daemon = make_daemon(service_config({"main": numbered(rows_trigger(5))})).start()
    for number in range(20 if is_long else 5):
        assert post(daemon.http, ledger, "main", 5) == 201
        if number % 2:
            daemon.wait_for_status("main", lambda one: one["state"] in {"evaluating", "delivering", "waiting"})
        assert daemon.http.delete("/main").status_code in {200, 202, 204}
        let_go(ledger)
        daemon.create("main", numbered(rows_trigger(5)))
        assert daemon.status("main")["rows_waiting"] == 0
        figures.faults["deletions at work"] += 1
    assert post(daemon.http, ledger, "main", 5) == 201
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    assert "stopped by an error" not in daemon.log
    daemon.stop()
    assert not list(daemon.data.glob("parts/.*"))


@pytest.mark.thorough
def test_one_id_is_edited_flushed_deleted_and_added_again_with_kills_between(
    make_daemon, ledger, audit, figures, is_long, rng
):
    """What was acknowledged since the id was last added is kept; nothing older comes twice, or in part."""
    daemon = make_daemon(service_config({"main": numbered(interval_trigger(3600))})).start()

    def edit():
        config = json.loads(daemon.config_path.read_text(encoding="utf-8"))
        config["collectors"]["main"] = numbered(rows_trigger(rng.choice([3, 7, NEVER])))
        daemon.config_path.write_text(json.dumps(config), encoding="utf-8")
        daemon.http.post("/-/reload")

    def flush():
        daemon.http.post("/main/flush")

    def delete_and_add():
        let_go(ledger)
        daemon.http.delete("/main")
        daemon.http.post("/main", json=numbered(interval_trigger(3600)))

    for _ in range(40 if is_long else 3):
        for _ in range(rng.randrange(1, 4)):
            post(daemon.http, ledger, "main", rng.randrange(1, 6), json_body)
        killing = threading.Timer(rng.uniform(0, 0.1), daemon.process.kill)
        killing.start()
        with contextlib.suppress(httpx.TransportError):
            for step in rng.sample([edit, flush, delete_and_add], 3):
                step()
        killing.join()
        daemon.kill()
        daemon.start()
        if daemon.http.get("/main").status_code == 404:  # killed between its deletion and its return
            daemon.http.post("/main", json=numbered(interval_trigger(3600))).raise_for_status()
        figures.faults["kills between edits"] += 1
    assert post(daemon.http, ledger, "main", 5) == 201
    wait_for_delivery(daemon, ["main"])
    figures.take(audit(daemon))
    daemon.stop()


@pytest.mark.thorough
def test_a_reference_that_is_rewritten_in_place_costs_no_batch(make_daemon, ledger, audit, figures, is_long):
    """Half of it may be read; the batch waits for the whole, as for one that is damaged."""
    drift = {"metrics": [*REPORT["metrics"], {"type": "ValueDrift", "column": NUMBER, "method": "psi"}]}
    daemon = make_daemon()
    reference = daemon.directory / "reference.parquet"
    pq.write_table(table("n0", 5_000), reference)
    config = numbered(rows_trigger(5), report_config=drift, reference_path="reference.parquet")
    daemon.config_path.write_text(json.dumps(service_config({"main": config})), encoding="utf-8")
    daemon.start()
    with Load(daemon.url, ledger, ["main"], rows=5, pause=0.2) as load:
        for number in range(50 if is_long else 5):
            sink = io.BytesIO()
            pq.write_table(table(f"n{number}", 5_000), sink)
            with reference.open("wb") as file:
                file.write(sink.getvalue()[:-1000])
                file.flush()
                load.wait_for_posts(len(load.posts) + 1)
                file.write(sink.getvalue()[-1000:])
            load.wait_for_posts(len(load.posts) + 1)
            figures.faults["references rewritten"] += 1
    wait_for_delivery(daemon, ["main"])
    assert daemon.status("main")["failed"] == 0
    figures.take(audit(daemon))
    assert reference.exists()
    daemon.stop()
