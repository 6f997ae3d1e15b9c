"""The daemon whole, but for its worker processes: no Evidently here."""

import gc
import json
import os
import signal
import socket
import sqlite3
from contextlib import asynccontextmanager
from types import MappingProxyType

import httpx
import pytest
import trio
import trustme
from machine import PATIENCE, free_port
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from collector import daemon
from collector.client import AsyncCollectorClient
from collector.config import CollectorServiceConfig
from collector.config.config_file import ConfigFile
from collector.daemon import Options, serve
from collector.errors import CollectorError, DataDirError, EvaluationError, OutOfFiles, ServiceUnavailable
from collector.formats.frames import check_body
from collector.store.data_dir import open_data_dir

# The daemon stops within 3 s (the issue's promise): 2 s for what is in flight, 0.2 s for idle connections, and some.
PROMISED = 3.0
# The process ends at once, and takes the listening socket with it.
LEAVES_ITS_SOCKET = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
COLLECTOR = {
    "trigger": {"type": "RowsCountTrigger", "rows_count": 1000},
    "report_config": {"metrics": ["DataDriftPreset"]},
    "project_name": "p",
    "api_url": "workspace",
}


class IdleWorkers:
    """Finds nothing wrong, and is never asked for more here."""

    evidently_version = "0.0.test"
    ended = MappingProxyType({"died": 0})
    warm_up_error = None

    async def warm_up(self):
        await trio.lowlevel.checkpoint()
        if self.warm_up_error is not None:
            raise self.warm_up_error

    async def warm_up_second(self):
        await trio.lowlevel.checkpoint()

    async def check_body(self, format_, body, bounds):
        return await trio.to_thread.run_sync(check_body, format_, body, bounds)

    async def without_private(self, *_):
        raise AssertionError

    async def check(self, config):  # noqa: ARG002  (as in Workers)
        await trio.lowlevel.checkpoint()
        return []

    async def generations_in(self, directory):  # noqa: ARG002  (as in Workers)
        await trio.lowlevel.checkpoint()
        return set()


@pytest.fixture
def workers(monkeypatch):
    workers = IdleWorkers()

    @asynccontextmanager
    async def open_fakes(_count, _max_bytes, _shown):
        yield workers

    monkeypatch.setattr(daemon, "open_workers", open_fakes)
    return workers


def options(secret=None, port=0, **tls):
    return Options("127.0.0.1", port, secret, **tls)


def config_file(directory, **fields):
    config = CollectorServiceConfig.parse({"collectors": {"main": COLLECTOR}} | fields)
    config.save(directory / "config.json")
    return ConfigFile.open(directory / "config.json")


@asynccontextmanager
async def serving(tmp_path, **arguments):
    """Run the daemon, give a client of it, and stop it as an operator does."""
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve, options(**arguments), config_file(tmp_path))
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            yield client
        os.kill(os.getpid(), signal.SIGTERM)


async def test_it_serves_until_it_is_told_to_stop(workers, tmp_path):
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path) as client:
            assert (await client.get("/livez")).status_code == 200
            assert (await client.post("/main/data", json={"a": [1, 2]})).status_code == 201
            assert (await client.get("/")).json()["collectors"][0]["rows_waiting"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_in_time_though_a_connection_idles(workers, tmp_path, number):
    with trio.fail_after(PATIENCE):
        async with httpx.AsyncClient() as client, trio.open_nursery() as nursery:
            url = await nursery.start(serve, options(), config_file(tmp_path))
            await client.get(f"{url}/livez")
            started = trio.current_time()
            os.kill(os.getpid(), number)
        assert trio.current_time() - started < PROMISED


async def test_what_was_accepted_is_there_after_a_restart(workers, tmp_path):
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path) as client:
            await client.post("/main/data", json={"a": [1, 2]})
        async with serving(tmp_path) as client:
            assert (await client.get("/")).json()["collectors"][0]["rows_waiting"] == 2


async def test_its_secret_is_asked_for(workers, tmp_path):
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path, secret="s3cret") as client:
            assert (await client.get("/")).status_code == 401
            assert (await client.get("/", headers={"evidently-secret": "s3cret"})).status_code == 200


async def test_its_clients_trust_an_authority_of_its_own(workers, tmp_path):
    authority = trustme.CA()
    pem = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    pem.write_to_path(str(tmp_path / "server.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    files = {"certfile": str(tmp_path / "server.pem"), "keyfile": str(tmp_path / "server.pem")}
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve, options(**files), config_file(tmp_path))
            assert url.startswith("https://")
            async with AsyncCollectorClient(url, verify=str(tmp_path / "ca.pem")) as trusting:
                assert (await trusting.get_collector("main"))["id"] == "main"
            async with AsyncCollectorClient(url, retries=0) as strict:
                with pytest.raises(ServiceUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                    await strict.get_collector("main")
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def opening(monkeypatch):
    """Hold the opening of the journal until the event is set."""
    sound, opened = daemon.open_journal, trio.Event()

    @asynccontextmanager
    async def open_late(*arguments):
        await opened.wait()
        async with sound(*arguments) as journal:
            yield journal

    monkeypatch.setattr(daemon, "open_journal", open_late)
    return opened


async def test_while_the_journal_is_opened_it_lives_is_not_ready_and_events_wait(workers, opening, tmp_path):
    port = free_port()
    listening = httpx.AsyncHTTPTransport(retries=5)  # it may not listen yet
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, transport=listening) as client:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(serve, options(port=port), config_file(tmp_path))
                assert (await client.get("/livez")).status_code == 200
                assert (await client.get("/readyz")).status_code == 503
                async with trio.open_nursery() as sending:
                    sending.start_soon(_send_a_row, client)
                    await wait_all_tasks_blocked()
                    opening.set()
                while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110  (events are taken before that)
                    await trio.sleep(0.01)
                assert (await client.get("/")).json()["collectors"][0]["rows_waiting"] == 1
                os.kill(os.getpid(), signal.SIGTERM)


async def _send_a_row(client):
    assert (await client.post("/main/data", json={"a": [1]})).status_code == 201


async def test_a_journal_that_cannot_be_used_is_told_alone(workers, tmp_path):
    """The command line answers it with an exit code, which it couldn't with a group of errors."""
    with open_data_dir(tmp_path / "collector_data") as data_dir:
        journal = sqlite3.connect(data_dir.journal)
        journal.execute("PRAGMA user_version = 900")
        journal.close()
    with pytest.raises(DataDirError, match="has format 900"):
        await serve(options(), config_file(tmp_path))


async def test_its_metrics_are_there_for_who_has_the_secret(workers, tmp_path):
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path, secret="s3cret") as client:
            bearer = {"Authorization": "Bearer s3cret"}
            await client.post("/main/data", json={"a": [1, 2]}, headers={"evidently-secret": "s3cret"})
            scraped = await client.get("/metrics", headers=bearer)
            assert (await client.get("/metrics")).status_code == 401
    assert 'evidently_collector_accepted_rows_total{collector="main"} 2.0' in scraped.text
    assert "s3cret" not in scraped.text


async def test_systemd_is_told_when_it_is_ready_reloads_and_stops(workers, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with trio.fail_after(PATIENCE), trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        await manager.bind(str(tmp_path / "notify"))
        async with serving(tmp_path) as client:
            url = str(client.base_url).rstrip("/")
            assert await manager.recv(1000) == f"READY=1\nSTATUS={url}, 1 collectors".encode()
            os.kill(os.getpid(), signal.SIGHUP)
            assert (await manager.recv(1000)).startswith(b"RELOADING=1\n")
            assert await manager.recv(1000) == b"READY=1"
        assert (await manager.recv(1000)).startswith(b"STOPPING=1\n")


async def test_a_new_collector_is_saved_beside_its_data(workers, tmp_path):
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path) as client:
            assert (await client.post("/new", json=COLLECTOR)).status_code == 201
    assert "new" in json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["collectors"]
    assert (tmp_path / "collector_data" / "journal.sqlite3").exists()


@pytest.mark.parametrize(
    "error",
    [EvaluationError("the worker process died"), OutOfFiles(OSError("Too many open files")), OSError("no memory")],
    ids=["it died", "no more files", "no more processes"],
)
async def test_without_worker_processes_events_are_kept(workers, tmp_path, error):
    workers.warm_up_error = error
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path) as client:
            await trio.sleep(0.1)
            assert (await client.post("/main/data", json={"a": [1]})).status_code == 201


async def test_what_a_crash_left_behind_is_removed(workers, tmp_path):
    with open_data_dir(tmp_path / "collector_data") as data_dir:
        (data_dir.path / "parts" / "half.parquet").touch()
    with trio.fail_after(PATIENCE):
        async with serving(tmp_path):
            assert list((tmp_path / "collector_data" / "parts").iterdir()) == []


@LEAVES_ITS_SOCKET
async def test_a_data_directory_that_another_holds_is_refused(workers, tmp_path):
    with open_data_dir(tmp_path / "collector_data"), pytest.raises(DataDirError, match="another collector"):
        await serve(options(), config_file(tmp_path))
    gc.collect()


@LEAVES_ITS_SOCKET
async def test_an_address_that_another_holds_is_refused(workers, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CollectorError, match=f"can't listen on 127.0.0.1:{port}: .*; choose another --port"):
            await serve(options(port=port), config_file(tmp_path))
    gc.collect()


def test_an_ipv6_address_stands_in_brackets():
    class FakeSocket:
        def getsockname(self):
            return ("::1", 8001, 0, 0)

    assert daemon._url(FakeSocket(), "http") == "http://[::1]:8001"  # noqa: SLF001


async def test_it_says_in_words_that_it_listens_to_all_and_has_no_secret(workers, tmp_path):
    with trio.fail_after(PATIENCE), capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve, Options("0.0.0.0", 0, None), config_file(tmp_path))
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
                told = (await client.get("/readyz?verbose")).text
            os.kill(os.getpid(), signal.SIGTERM)
    assert "[!]access: other machines can reach the service, and it has no secret" in told
    assert any("it has no secret" in entry["event"] and entry["log_level"] == "warning" for entry in logs)
