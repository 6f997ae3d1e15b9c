"""A real socket in place of systemd's."""

import socket
import time

import pytest
from structlog.testing import capture_logs

from collector.host.systemd import notify_ready, notify_reloading, notify_stopping


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """Listen where systemd would."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield listening


def test_it_is_told_of_each_turn_in_a_datagram_of_its_own(manager):
    before = time.monotonic_ns() // 1000
    notify_ready("http://127.0.0.1:8001, 2 collectors")
    notify_reloading()
    notify_stopping()
    ready, reloading, stopping = (manager.recv(1000).decode().splitlines() for _ in range(3))
    assert ready == ["READY=1", "STATUS=http://127.0.0.1:8001, 2 collectors"]
    assert (reloading[0], stopping[0]) == ("RELOADING=1", "STOPPING=1")
    assert before <= int(reloading[1].removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_without_systemd_nothing_is_said(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    with capture_logs() as logs:
        notify_ready("")
    assert logs == []


def test_a_manager_that_is_gone_is_no_reason_to_stop(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with capture_logs() as logs:
        notify_ready("")
    assert "No such file" in logs[0]["error"]
