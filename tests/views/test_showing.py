"""``status``: against a client that gives the answers of a test's own; the real one is in tests/integration."""

import json
import os
import re
import sys
from dataclasses import asdict

import pytest

from collector.errors import CollectorError, RequestRefused, ServiceUnavailable
from collector.views import showing
from collector.views.showing import show_once, watch

from .screens import Pty
from .statuses import collector, later, service

URL = "http://collector:8001"
WELL = json.loads(json.dumps(asdict(service(collector("main", snapshots=2)))))
TROUBLED = json.loads(json.dumps(asdict(service(collector("main", "crashed", last_error="bad")))))


class FakeClient:
    """Gives its answers one after the other, then Ctrl-C; an exception among them is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def status(self):
        answer = self.answers.pop(0) if self.answers else KeyboardInterrupt()
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(showing.time, "sleep", lambda _seconds: None)


@pytest.fixture
def pty(monkeypatch):
    pty = Pty(80, 24)
    terminal = pty.terminal()
    monkeypatch.setattr(showing, "open_terminal", lambda _stream: terminal)
    yield pty
    os.close(terminal.fileno())
    pty.close()


@pytest.mark.parametrize(("answer", "is_well"), [(WELL, True), (TROUBLED, False)])
def test_once_it_prints_a_plain_table_and_tells_whether_all_is_well(capsys, answer, is_well):
    assert show_once(FakeClient(answer).status, URL, is_json=False) == is_well
    printed = capsys.readouterr().out
    assert printed.startswith(f"── evidently-collector 1.2.3 ── {URL} ── up 3h")
    assert "main" in printed
    assert "failed" in printed  # a width for all columns
    assert "rows/s" not in printed  # of one answer there is no rate
    assert "\x1b" not in printed


@pytest.mark.parametrize(("answer", "is_well"), [(WELL, True), (TROUBLED, False)])
def test_json_is_what_the_service_answered(capsys, answer, is_well):
    assert show_once(FakeClient(answer).status, URL, is_json=True) == is_well
    assert json.loads(capsys.readouterr().out) == answer


@pytest.mark.parametrize("answer", [{}, [], "hello", {"collectors": 3}, json.JSONDecodeError("no", "<html>", 0)])
def test_what_is_no_collector_service_is_told_in_a_sentence(answer):
    with pytest.raises(CollectorError, match="answers, but not as a collector service does"):
        show_once(FakeClient(answer).status, URL, is_json=False)


def test_watched_it_is_drawn_until_ctrl_c_with_rates(pty):
    status = service(collector())
    answers = [json.loads(json.dumps(asdict(later(status, second, main=40 * second)))) for second in range(4)]
    seen = []

    class LookingClient(FakeClient):
        def status(self):
            seen.append("\n".join(pty.display()))
            return super().status()

    watch(LookingClient(*answers).status, URL, is_json=False)
    assert "rows/s" in seen[-1]
    assert "  40 " in seen[-1]
    assert pty.display() == []


def test_a_service_that_goes_away_is_waited_for(pty):
    seen = []

    class LookingClient(FakeClient):
        def status(self):
            seen.append("\n".join(pty.display()))
            return super().status()

    gone = ServiceUnavailable("http://collector:8001 can't be reached: refused")
    watch(LookingClient(WELL, gone, WELL).status, URL, is_json=False)
    assert "● main" in seen[1]
    assert re.search(r"▲ no answer for \d+s, asked again each second: http://collector:8001", seen[2])
    assert "● main" in seen[3]
    assert "no answer" not in seen[3]


def test_a_service_that_refuses_is_not_asked_again(pty):
    with pytest.raises(RequestRefused, match="401"):
        watch(FakeClient(RequestRefused(401, "Unauthorized")).status, URL, is_json=False)
    assert pty.display() == []


def test_watched_json_is_a_line_an_answer(capsys):
    watch(FakeClient(WELL, TROUBLED).status, URL, is_json=True)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [WELL, TROUBLED]


def test_without_a_terminal_only_json_can_be_watched(capsys):
    assert not sys.stdout.isatty()
    with pytest.raises(CollectorError, match="--watch needs a terminal; with --json"):
        watch(FakeClient(WELL).status, URL, is_json=False)
