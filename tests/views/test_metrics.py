"""What a scrape gathers, over a real data directory."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest
import trio
from fakes import FakeSupervisor, collector_config
from machine import PATIENCE

from collector.config import CollectorServiceConfig
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.views import disk as module
from collector.views.metrics import Metrics

WORKERS = SimpleNamespace(ended=Counter(died=2), evidently_version="0.0.test")


@pytest.fixture
async def service(tmp_path):
    """Open a data directory and a journal, and give what a scrape asks of them."""
    with open_data_dir(tmp_path / "data") as data_dir:
        async with open_journal(data_dir) as journal:
            config = CollectorServiceConfig().with_collector(collector_config())
            supervisor = FakeSupervisor(journal, config)
            yield SimpleNamespace(
                data_dir=data_dir,
                metrics=Metrics(supervisor, SimpleNamespace(data_dir=data_dir, workers=WORKERS, journal=journal)),
            )


async def test_a_scrape_tells_of_service_collectors_workers_and_disk(service):
    for name in ("part-1.parquet", "frame-main-1.json", "frame-main-2.json"):
        service.data_dir.damaged(name).touch()
    text, content_type = await service.metrics.scrape("text/plain")
    lines = text.decode().splitlines()
    assert content_type.startswith("text/plain")
    assert 'evidently_collector_open_rows{collector="main"} 0.0' in lines
    assert 'evidently_collector_worker_restarts_total{reason="died"} 2.0' in lines
    assert 'evidently_collector_damaged_files{kind="frame"} 2.0' in lines
    assert 'evidently_collector_damaged_files{kind="part"} 1.0' in lines
    assert any(line.startswith("evidently_collector_disk_free_bytes ") for line in lines)


async def test_a_disk_that_does_not_answer_does_not_hold_the_rest(service, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(module, "DISK_PATIENCE", 0.1)
    monkeypatch.setattr(module, "look_at", lambda _path: answer.wait(2 * PATIENCE))
    with trio.fail_after(PATIENCE):
        text, _ = await service.metrics.scrape("text/plain")
    answer.set()
    assert b"evidently_collector_disk_trouble 0.0" in text
    assert b"\nevidently_collector_disk_free_bytes" not in text
