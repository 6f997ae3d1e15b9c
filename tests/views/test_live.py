"""When the view draws, and what it leaves behind."""

import os
import signal
import time
from itertools import pairwise

import pytest
import trio
from machine import Stopwatch

from collector.views import live as module
from collector.views.live import FRAME_INTERVAL, SHARE, Live, pinned, show_live

from .screens import Pty
from .statuses import collector, later, service

URL = "http://127.0.0.1:8001"
STATUS = service(collector(), collector("other"))


@pytest.fixture
def pty():
    pty = Pty(80, 24)
    yield pty
    pty.close()


@pytest.fixture
def terminal(pty):
    terminal = pty.terminal()
    yield terminal
    os.close(terminal.fileno())


def test_what_has_not_changed_is_not_drawn_again(pty, terminal):
    live = Live(terminal, URL)
    live.show(STATUS)
    assert pty.read()
    live.show(later(STATUS, 0.5))
    assert not pty.read()


@pytest.mark.parametrize("changed", [later(STATUS, 0.5, main=3), later(STATUS, 1)])
def test_a_change_is_drawn_and_so_is_a_second_that_has_passed(pty, terminal, changed):
    live = Live(terminal, URL)
    live.show(STATUS)
    pty.read()
    live.show(changed)
    assert pty.read()


def test_another_size_is_drawn_at_once(pty, terminal):
    live = Live(terminal, URL)
    live.show(STATUS)
    pty.display()
    pty.resize(100, 20)
    live.show(STATUS)
    assert max(map(len, pty.display())) == 100  # the header's rule


def test_a_quarter_of_a_small_terminal_is_left_to_the_logs_and_eight_lines_of_a_large_one(pty, terminal):
    crowded = service(*(collector(f"model-{number}") for number in range(100)))
    live = Live(terminal, URL, log_lines=8)
    live.show(crowded)
    assert len(pty.display()) == 24 - 1 - 6
    pty.resize(80, 50)
    live.show(crowded)
    assert len(pty.display()) == 50 - 1 - 8


def test_no_color_is_obeyed(pty, terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    Live(terminal, URL).show(STATUS)
    assert b"\x1b[32m" not in pty.read()  # green


def test_colours_are_there_otherwise(pty, terminal, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    Live(terminal, URL).show(STATUS)
    assert b"\x1b[32m" in pty.read()


def test_in_the_background_rates_are_gathered_though_nothing_is_drawn(pty, terminal):
    live, terminal.has_foreground = Live(terminal, URL), False
    for second in range(5):
        live.show(later(STATUS, second, main=10 * second))
    assert not pty.read()
    terminal.has_foreground = True
    live.show(later(STATUS, 5, main=50))
    assert "▃" not in "".join(pty.display())
    assert "█████" in "".join(pty.display())


async def test_it_shows_until_it_is_cancelled_and_then_the_lines_alone_are_left(pty, terminal, autojump_clock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(show_live, terminal, lambda: STATUS, URL)
        await trio.sleep(1)
        terminal.write("a line of the log\n")
        assert "● main" in "\n".join(pty.display())
        nursery.cancel_scope.cancel()
    assert pty.display() == ["a line of the log"]


async def test_at_most_four_frames_a_second_are_drawn(terminal, autojump_clock):
    asked = []

    def get_status():
        asked.append(trio.current_time())
        return STATUS

    with trio.move_on_after(10):
        await show_live(terminal, get_status, URL)
    pauses = [then - first for first, then in pairwise(asked)]
    assert min(pauses) >= FRAME_INTERVAL
    assert len(asked) > 5


async def test_a_costly_frame_makes_the_next_one_wait(terminal, autojump_clock):
    """So drawing takes no more than its share, however many collectors there are."""
    asked = []

    def get_status():
        asked.append(trio.current_time())
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        return STATUS

    with trio.move_on_after(20):
        await show_live(terminal, get_status, URL)
    assert asked[1] - asked[0] >= 0.05 / SHARE


async def test_a_terminal_that_is_gone_ends_nothing(pty, autojump_clock):
    terminal = pty.terminal()
    with trio.move_on_after(5) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show_live, terminal, lambda: STATUS, URL)
            await trio.sleep(1)
            os.close(pty.master)
            pty.master = os.open(os.devnull, os.O_RDONLY)
            await trio.sleep_forever()
    os.close(terminal.fileno())
    assert scope.cancelled_caught


def test_what_a_shell_wrote_while_it_was_stopped_stays(pty, terminal):
    live = Live(terminal, URL)
    with pinned(terminal):
        live.show(STATUS)
        os.write(pty.slave, b"$ fg\n")
        os.kill(os.getpid(), signal.SIGCONT)
        live.show(later(STATUS, 1))
        assert "$ fg" in pty.display()
    assert signal.getsignal(signal.SIGCONT) == signal.SIG_DFL


def test_the_end_does_not_wait_for_a_terminal_that_takes_nothing(pty, terminal, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with Stopwatch() as stopwatch, pinned(terminal):
        for _ in range(300):
            terminal.write("x" * 1000 + "\n")
    assert stopwatch.seconds < 5
