"""The terminal, against a pseudo-terminal and an emulator that shows what it would show."""

import io
import os
import re
import sys

import pytest

from collector.views import terminal as module
from collector.views.lossy import Lossy
from collector.views.terminal import open_terminal

from .screens import Pty

FRAME = ["== frame", "== of two lines"]
SHOWN = [*FRAME, ""]


@pytest.fixture
def pty():
    pty = Pty()
    yield pty
    pty.close()


@pytest.fixture
def terminal(pty):
    terminal = pty.terminal()
    yield terminal
    os.close(terminal.fileno())


def draw(terminal, frame=FRAME):
    terminal.draw(frame, terminal.size())


def test_lines_scroll_above_the_frame(pty, terminal):
    draw(terminal)
    for number in range(20):
        terminal.write(f"line {number}\n")
    assert pty.display() == [*(f"line {number}" for number in range(11, 20)), *FRAME]
    assert pty.scrolled() == [f"line {number}" for number in range(11)]


def test_a_frame_is_drawn_in_the_place_of_the_last(pty, terminal):
    terminal.write("above\n")
    for frame in (["a"] * 5, ["b"], ["c"] * 3):
        draw(terminal, frame)
        assert pty.display() == ["above", *frame]


def test_a_line_waits_for_its_end(pty, terminal):
    terminal.write("half ")
    assert pty.display() == []
    terminal.write("and half\nno end")
    assert pty.display() == ["half and half"]


def test_what_is_cleared_leaves_the_lines_and_the_cursor_below_them(pty, terminal):
    terminal.write("above\n")
    draw(terminal)
    terminal.clear()
    assert pty.display() == ["above"]
    assert (pty.screen.cursor.y, pty.screen.cursor.x, pty.screen.cursor.hidden) == (1, 0, False)


def test_the_cursor_is_never_hidden_and_no_mode_is_set_but_for_a_moment(pty, terminal):
    """So kill -9 leaves nothing to be put back."""
    for _ in range(3):
        draw(terminal)
        terminal.write("line\n")
    written = pty.read()
    assert b"?25l" not in written
    assert written.count(b"\x1b[?2026h") == written.count(b"\x1b[?2026l") == 6
    assert b"\x1b[?" not in written.replace(b"\x1b[?2026", b"")


def test_who_presses_enter_tears_nothing(pty, terminal):
    terminal.write("above\n")
    draw(terminal)
    pty.type("\nabc\n\n")
    draw(terminal)
    assert pty.display() == ["above", *FRAME]


def test_what_was_typed_before_the_first_frame_takes_no_line_away(pty, terminal):
    terminal.write("above\n")
    pty.type("\n\n")
    draw(terminal)
    draw(terminal)
    assert pty.display() == ["above", "", "", *FRAME]


def test_enter_at_the_bottom_of_the_screen_tears_nothing_either(pty, terminal):
    for number in range(20):
        terminal.write(f"line {number}\n")
    draw(terminal)
    pty.type("\n\n\n")
    draw(terminal)
    assert pty.display()[-3:] == ["line 19", *FRAME]
    assert (pty.scrolled() + pty.display()).count(FRAME[0]) == 1


@pytest.mark.parametrize("size", [(20, 12), (60, 12), (40, 6), (40, 30), (20, 5), (10, 3)])
def test_another_size_tears_nothing(pty, terminal, size):
    for number in range(9):
        terminal.write(f"line {number}\n")
    draw(terminal)
    pty.read()
    pty.resize(*size)
    draw(terminal)
    display = pty.display()
    assert display[-2:] == [line[: size[0]] for line in FRAME] or size[0] < 15
    above = display[: -len(FRAME)]
    assert above == [f"line {number}" for number in range(9)][9 - len(above) :]


def test_a_log_line_that_comes_first_after_a_resize_tears_nothing(pty, terminal):
    """The frame that is there was made for another width."""
    wide = ["=" * 40] * 3
    terminal.write("one\n")
    draw(terminal, wide)
    pty.read()
    pty.resize(20, 12)
    terminal.write("two\n")
    assert pty.display() == ["one", "two"]
    draw(terminal)
    assert pty.display() == ["one", "two", *FRAME]


def test_after_a_resize_no_line_is_there_twice_that_the_screen_has_room_for(pty, terminal):
    long = "x" * 50  # two rows of 40, three of 20
    terminal.write(f"{long}\nshort\n")
    draw(terminal)
    pty.read()
    pty.resize(20, 12)
    draw(terminal)
    assert pty.display() == ["x" * 20, "x" * 20, "x" * 10, "short", *FRAME]


def test_a_frame_that_is_higher_than_the_screen_is_cut(pty, terminal):
    draw(terminal, [f"frame {number}" for number in range(30)])
    draw(terminal, [f"frame {number}" for number in range(30)])
    assert pty.display() == [f"frame {number}" for number in range(11)]
    assert pty.scrolled() == []


def test_where_nobody_looks_nothing_is_drawn(pty, terminal):
    """A container's terminal has no size until someone attaches; a background job's isn't its own."""
    pty.resize(40, 12)
    terminal.has_foreground = False
    draw(terminal)
    terminal.write("line\n")
    assert pty.display() == ["line"]


def test_after_a_stop_the_next_frame_comes_below(pty, terminal):
    draw(terminal)
    os.write(pty.slave, b"[1]+  Stopped\n")
    terminal.forget()
    draw(terminal)
    assert pty.display() == [*FRAME, "[1]+  Stopped", *FRAME]


def test_a_terminal_that_takes_nothing_holds_nobody_up_and_gets_all_in_the_end(pty, terminal):
    lines = [f"line {number} {'.' * 60}" for number in range(3000)]  # 200 kB, where a pty holds 64 kB at most
    for line in lines:
        terminal.write(f"{line}\n")
        draw(terminal)
    seen = b""
    while read := pty.read():
        seen += read
        terminal.finish(0.1)
    draw(terminal)
    assert re.findall(r"line \d+ \.+(?=\r\n)", seen.decode()) == lines
    assert pty.display()[-2:] == FRAME


def test_what_is_too_much_for_it_is_lost_and_said_so(pty, terminal, monkeypatch):
    monkeypatch.setattr(module, "MAX_PENDING_BYTES", 1000)
    stream = Lossy(terminal)
    for number in range(3000):
        stream.write(f"line {number} {'.' * 60}\n")
    while pty.read():
        terminal.finish(0.1)
    stream.write("last\n")
    assert re.search(r"\d+ lines of the log could not be written, and are missing herelast$", "".join(pty.display()))


def test_a_terminal_that_is_gone_ends_nothing(pty):
    terminal = pty.terminal()
    os.close(pty.master)
    try:
        Lossy(terminal).write("nobody reads this\n")
        assert not terminal.isatty()
    finally:
        os.close(terminal.fileno())
        pty.master = os.open(os.devnull, os.O_RDONLY)


@pytest.mark.parametrize(("term", "is_one"), [("xterm-256color", True), ("dumb", False), ("", False), (None, False)])
def test_which_terminals_can_move_their_cursor(pty, monkeypatch, term, is_one):
    monkeypatch.delenv("TERM", raising=False) if term is None else monkeypatch.setenv("TERM", term)
    with os.fdopen(os.dup(pty.slave), "w", encoding="utf-8") as stream:
        opened = open_terminal(stream)
        assert (opened is not None) == is_one
    if opened:
        assert not os.get_blocking(opened.fileno())
        assert os.get_blocking(pty.slave)  # which the shell shares
        os.close(opened.fileno())


def test_a_terminal_that_has_no_signs_but_ascii_gets_plain_lines(pty, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(os.dup(pty.slave), "w", encoding="ascii") as stream:
        assert open_terminal(stream) is None


def test_a_file_is_no_terminal():
    assert open_terminal(io.StringIO()) is None
    assert open_terminal(sys.__stdin__) is None or sys.__stdin__.isatty()
