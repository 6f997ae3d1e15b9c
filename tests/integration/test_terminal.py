"""The daemon's view in a real terminal: it goes without a trace, however the daemon ends."""

import contextlib
import json
import os
import re
import signal
import sys

import httpx
import pytest

from .conftest import BY_TALLY, PATIENCE, collector_config, free_port, service_config, stand_in, wait_until
from .terminals import App, collector_command

DRAWING = 0.5  # seconds in which a view, if there is to be one, is drawn after the first line
HEADER = "── evidently-collector"
CONFIG = service_config({"main": collector_config(project_name="p")})


@pytest.fixture
def run(tmp_path):
    """Run the daemon, or another command, in a terminal; it ends with the test."""
    (tmp_path / "collector_config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    with contextlib.ExitStack() as stack:

        def run(*options, command=None, evaluates=False, **variables):
            app = App(command or collector_command("--port", 0, *options), tmp_path, **stand_in(evaluates) | variables)
            stack.callback(app.close)
            return app

        yield run


def is_drawn(text):
    return HEADER in text and " main " in text


@pytest.mark.parametrize("end", ["ctrl-c", "twice ctrl-c", "SIGTERM"])
def test_an_end_leaves_the_logs_and_a_sane_terminal(run, end):
    app = run()
    app.wait_for(is_drawn, "the view")
    if end == "SIGTERM":
        app.process.kill(signal.SIGTERM)
    else:
        app.process.sendintr()
        app.process.sendintr() if end == "twice ctrl-c" else None
    assert app.wait_end() == 0
    assert "ready  url" in app.text
    assert "stopping: answering what is in flight" in app.text
    app.assert_sane()


def test_a_kill_leaves_a_sane_terminal_too(run):
    app = run()
    app.wait_for(is_drawn, "the view")
    app.process.kill(signal.SIGKILL)
    assert app.wait_end() == -signal.SIGKILL
    assert not app.screen.cursor.hidden
    assert app.screen.cursor.x == 0


def test_an_error_at_the_start_is_a_sentence_in_a_sane_terminal(run, tmp_path):
    first = run()
    first.wait_for(is_drawn, "the view")
    second = run()
    assert second.wait_end() == 78
    assert "error: " in second.text
    second.assert_sane()


def test_resizing_tears_nothing(run):
    app = run()
    app.wait_for(is_drawn, "the view")
    for columns, lines in [(50, 24), (120, 30), (60, 10), (80, 24)]:
        app.resize(columns, lines)
        app.wait_for(lambda text, width=columns: is_as_wide_as(text, width), f"a frame of {columns} columns")
        app.read(0.5)  # another frame, of which a part may be there
        app.wait_for(lambda text, width=columns: is_one_frame(text, width), f"a frame of {columns} columns alone")


def is_one_frame(text, width):
    has_one = text.count(HEADER) == len(re.findall(r"^[○●◐] main ", text, re.MULTILINE)) == 1
    return has_one and is_as_wide_as(text, width)


def is_as_wide_as(text, width):
    header = next((line for line in text.splitlines() if line.startswith(HEADER)), "")
    return is_drawn(text) and len(header) == width


def test_stopped_and_continued_by_a_shell_it_goes_on_below(run):
    app = run(command=["bash", "--norc", "-i"], PS1="$ ")
    app.process.sendline(" ".join(collector_command("--port", 0)))
    app.wait_for(is_drawn, "the view")
    app.process.send("\x1a")  # Ctrl-Z
    app.wait_for(lambda text: "Stopped" in text, "the shell")
    app.process.sendline("echo between; fg")
    app.wait_for(lambda text: HEADER in text.partition("\nbetween\n")[2], "the view")
    app.process.sendintr()
    text = app.wait_for(lambda text: "stopped: what was accepted" in text and text.endswith("$"), "the shell")
    assert HEADER not in text.partition("\nbetween\n")[2]


def test_in_the_background_it_leaves_the_terminal_to_the_shell(run):
    app = run(command=["bash", "--norc", "-i"], PS1="$ ")
    app.process.sendline(" ".join([*collector_command("--port", 0), "&"]))
    app.wait_for(lambda text: "ready  url" in text, "the daemon")
    app.read(DRAWING)
    app.process.sendline("kill %1; wait; echo over")
    app.wait_for(lambda text: "\nover" in text, "its end")
    assert HEADER not in app.written.decode()


def test_a_closed_terminal_does_not_end_a_daemon_that_is_to_survive_it(run, tmp_path):
    """As one that was started with & and disown, over a connection that is gone."""
    port = free_port()
    app = run(command=["bash", "--norc", "-i"], evaluates=BY_TALLY, PS1="$ ")
    app.process.sendline(" ".join([*collector_command("--port", port), "&", "disown; echo pid:$!:"]))
    text = app.wait_for(lambda text: "ready  url" in text and re.search(r"pid:\d+:", text), "the daemon")
    pid = int(re.search(r"pid:(\d+):", text)[1])
    try:
        app.process.close(force=True)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            assert client.post("/main/data", json={"a": [1, 2]}).status_code == 201
            wait_until(lambda: client.get("/").json()["collectors"][0]["snapshots"] == 1, "the snapshot")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not _runs(pid), "its end")


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("options", "variables"), [([], {"TERM": "dumb"}), (["--no-live"], {}), (["--log-format", "json"], {})]
)
def test_where_no_view_is_wanted_or_possible_there_are_plain_lines(run, options, variables):
    app = run(*options, **variables)
    app.wait_for(lambda text: "ready" in text, "the logs")
    app.read(DRAWING)
    app.process.sendintr()
    assert app.wait_end() == 0
    assert HEADER not in app.written.decode()
    if not options or "json" in options:
        assert b"\x1b" not in app.written


def test_without_colours_it_is_drawn_in_black_and_white(run):
    app = run(NO_COLOR="yes")
    app.wait_for(is_drawn, "the view")
    assert not re.search(rb"\x1b\[[\d;]*3\dm", app.written)


def test_status_of_the_daemon_in_another_terminal_is_the_same_view(run):
    app = run()
    text = app.wait_for(is_drawn, "the view")
    url = re.search(r"http://127.0.0.1:\d+", text)[0]
    other = run(command=collector_command("status", "--url", url, "--watch"))
    other.wait_for(is_drawn, "the same view elsewhere")
    other.process.sendintr()
    assert other.wait_end() == 0
    other.assert_sane()
    once = run(command=[sys.executable, "-m", "collector", "status", "--url", url])
    assert once.wait_end() == 0
    assert is_drawn(once.text)
