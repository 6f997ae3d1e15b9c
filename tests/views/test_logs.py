import io
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from collector.views.logs import set_up_logs, terminal_line

from .screens import Pty

NOON = datetime(2026, 1, 2, 12, 34, 56, tzinfo=UTC)


@pytest.fixture(autouse=True)
def reset():
    had = structlog.get_config()
    yield
    structlog.configure(**had)


def line(**event):
    return str(terminal_line({"level": "info", "event": "it happened", **event}, NOON))


def test_a_line_says_when_who_and_what():
    assert line(collector="main") == "12:34:56  main  it happened"


def test_rows_and_drift_are_in_words():
    said = line(rows=40, drift_share=0.3, drifted_columns=3, columns=10)
    assert said == "12:34:56  it happened  40 rows, 3 of 10 columns drifted"


def test_one_row_is_one_row():
    assert line(rows=1).endswith("1 row")


def test_tests_are_counted_by_what_became_of_them():
    assert line(tests={"passed": 3, "failed": 0, "error": 1}).endswith("1 of 4 tests failed")
    assert line(tests={"passed": 3, "failed": 0}).endswith("3 tests passed")


def test_what_was_found_stands_with_its_count():
    drift = {"drifted_columns": 1, "columns": 4, "drift_share": 0.25, "drifted": "age 0.31 > 0.1"}
    tests = {"tests": {"failed": 2}, "tests_failed": "Recall metric 0.5, and 1 more"}
    said = line(rows=2, **drift, failed_metrics=1, not_computed="MAE", **tests, trend="worse than the last 10")
    assert said.endswith(
        "2 rows, 1 of 4 columns drifted (age 0.31 > 0.1), 1 could not be computed (MAE), "
        "2 of 2 tests failed (Recall metric 0.5, and 1 more), worse than the last 10"
    )
    assert line(drifted="age 0.31 > 0.1").endswith("drifted age 0.31 > 0.1")
    assert line(rows=2, values="MAE 60").endswith("2 rows, MAE 60")


def test_a_batch_is_told_by_the_end_of_its_id():
    """The beginning of a UUIDv7 is the time, which neighbours share."""
    assert line(batch="018f0000-0000-7000-8000-0000deadbeef").endswith("batch …deadbeef")


def test_what_there_are_no_words_for_is_named():
    assert line(error="no space", seconds=1.5).endswith("error no space, seconds 1.5")


def test_several_things_are_listed():
    assert line(problems=("one", "two")).endswith("problems one; two")


def test_what_could_move_the_cursor_is_left_out():
    """A collector's id is what a client has made of it."""
    assert line(collector="\x1b[2J\rmain", error="\x07").endswith("�[2J�main  it happened  error �")


def test_a_trace_stands_below():
    assert line(exception="Traceback ...").splitlines()[1] == "Traceback ..."


@pytest.mark.parametrize(
    ("level", "style"), [("debug", "dim"), ("info", ""), ("warning", "magenta"), ("error", "bold red")]
)
def test_levels_have_their_colours(level, style):
    text = terminal_line({"level": level, "event": "x"}, NOON)
    assert [span.style for span in text.spans][1:] == ([style] if style else [])


def test_a_file_gets_lines_to_parse(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logs()
    structlog.get_logger().info("ready", url="http://x", rows=3)
    assert "ready" in stream.getvalue()
    assert "rows=3 url=http://x" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_lines_for_a_person(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logs()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    structlog.get_logger().warning("report failed", collector="main", rows=3)
    assert "\x1b[35mreport failed" in stream.getvalue()  # magenta
    assert "3 rows" in stream.getvalue()


def test_what_is_for_developers_is_left_out(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logs()
    structlog.get_logger().debug("where it failed")
    assert stream.getvalue() == ""


def test_json_is_an_object_a_line_with_time_level_and_event_first(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert set_up_logs("json") is None
    structlog.get_logger().bind(collector="main").info("two\nlines", path=Path("x"), rows=3)
    [written] = stream.getvalue().splitlines()
    told = json.loads(written)
    assert list(told)[:3] == ["time", "level", "event"]
    assert datetime.fromisoformat(told.pop("time")).tzinfo == UTC
    assert told == {"level": "info", "event": "two\nlines", "collector": "main", "path": "x", "rows": 3}


def test_json_tells_where_an_error_came_from(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logs("json")
    structlog.get_logger().error("failed", exc_info=ValueError("bad"))
    assert json.loads(stream.getvalue())["exception"].endswith("ValueError: bad")


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_a_level_leaves_out_what_is_below_it(monkeypatch, level, heard):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logs(level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(structlog.get_logger(), name)("said")
    assert len(stream.getvalue().splitlines()) == heard


def test_only_a_terminal_has_room_for_a_view(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert set_up_logs(is_live=True) is None


class FullDisk(io.StringIO):
    is_full = True

    def write(self, text):
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_the_daemons_log_goes_through_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", FullDisk())
    set_up_logs()
    structlog.get_logger().info("nobody reads this")


def test_in_json_the_lines_that_are_missing_are_told_in_json(monkeypatch):
    disk = FullDisk()
    monkeypatch.setattr(sys, "stderr", disk)
    set_up_logs("json")
    structlog.get_logger().info("lost")
    disk.is_full = False
    structlog.get_logger().info("kept")
    told, kept = map(json.loads, disk.getvalue().splitlines())
    assert (told["level"], told["lines"], kept["event"]) == ("warning", 1, "kept")
    assert list(told)[:3] == list(kept)[:3]


def test_what_others_write_to_standard_error_loses_lines_too(monkeypatch):
    monkeypatch.setattr(sys, "stderr", FullDisk())
    set_up_logs()
    sys.stderr.write("a warning\n")


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch):
    terminal = FullDisk()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    set_up_logs()
    structlog.get_logger().info("nobody reads this")
    terminal.is_full = False
    structlog.get_logger().info("but this")
    assert "but this" in terminal.getvalue()


def test_what_others_write_to_standard_error_comes_above_the_view(monkeypatch):
    pty = Pty(80, 24)
    terminal = pty.terminal()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr("collector.views.logs.open_terminal", lambda _: terminal)
    assert set_up_logs(is_live=True) is terminal
    terminal.draw(["the view"], terminal.size())
    sys.stderr.write("a warning\n")
    assert pty.display()[:2] == ["a warning", "the view"]
    os.close(terminal.fileno())
    pty.close()
