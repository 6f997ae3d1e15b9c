"""``logs``: entries as lines, each once."""

import io
import json

import pytest
from rich.console import Console
from worlds import outcome_of

from collector.commands import logs
from collector.commands.logs import line_of, show_logs

from .fakes import FakeService


def entry(number, type_="CreateReport", **fields):
    made = {"type": type_, "ok": True, "error": "", "time": f"2026-11-23T10:00:{number:02}.000+00:00"}
    return made | {"batch_id": f"batch-{number:08}", "rows": 1000 * number, "notes": []} | fields


@pytest.fixture
def follow(monkeypatch):
    """Show what the service logs one poll after the other; Ctrl-C comes after the last."""

    def follow(polls, **options):
        service, console = FakeService(), Console(file=io.StringIO(), width=100)
        service.logs = [list(reversed(entries)) for entries in polls]
        monkeypatch.setattr(logs.time, "sleep", lambda _: interrupt() if service.polls == len(polls) else None)
        show_logs(service, "main", console, **{"is_followed": True, "is_json": False} | options)
        return console.file.getvalue()

    return follow


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (entry(1, drifted_columns=2, columns=10), "1,000  evaluated    2 of 10 columns drifted"),
        (entry(1, tests={"passed": 3, "failed": 1, "error": 0}), "1 of 4 tests failed"),
        (entry(1, trend="worse", trend_over=10, tests={"passed": 1}), "1 test passed, worse than the last 10"),
        (
            entry(1, drifted_columns=1, columns=4, findings=outcome_of([1])["findings"]),
            "1 of 4 columns drifted (age 0.31 > 0.1)",
        ),
        (entry(1, ok=False, error="Error running report: ValueError: bad"), "failed       ValueError: bad"),
        (entry(1, "UploadReport", drifted_columns=2, columns=10), "…00000001      1,000  delivered"),
        (entry(1, "UploadReport", ok=False, error="Error saving snapshot: down"), "undelivered  down"),
        (
            entry(1, "CheckReport", ok=False, error="will fail", batch_id="", rows=0),
            "                   0  warned       will fail",
        ),
    ],
)
def test_a_line_says_what_became_of_a_batch(made, says):
    assert says in line_of(made).plain.rstrip()


def test_entries_come_oldest_first_and_each_once(follow):
    shown = follow([[entry(1)], [entry(1), entry(2)], [entry(1), entry(2)], [entry(2), entry(3)]])
    assert [line.split()[2] for line in shown.splitlines()[1:]] == ["…00000001", "…00000002", "…00000003"]


def test_entries_that_came_and_went_unseen_are_told_of(follow):
    assert "entries may be missing here" in follow([[entry(1)], [entry(8), entry(9)]])
    assert "missing" not in follow([[], [entry(8), entry(9)]])


def test_notes_are_shown_once_while_they_stay_the_same(follow):
    noted = [entry(number, notes=["Column 'a' was cast."]) for number in (1, 2)]
    assert follow([noted]).count("Column 'a' was cast.") == 1


def test_while_there_is_nothing_what_comes_next_is_said(follow, monkeypatch):
    first = {"sealed": 1, "snapshots": 0, "rows_waiting": 0, "rows_needed": None}
    monkeypatch.setattr(
        FakeService, "status", lambda _: {"time": 1.0, "collectors": [{"id": "main", "state": "x", **first}]}
    )
    for is_followed in (True, False):
        said = follow([[]], is_followed=is_followed)
        assert "1 batch being evaluated; before the first, Evidently loads for some seconds" in said


def test_without_following_what_is_there_is_all(follow):
    assert follow([[]], is_followed=False).splitlines()[1:] == ["no batch was evaluated yet"]
    assert len(follow([[entry(1)], [entry(1), entry(2)]], is_followed=False).splitlines()) == 2


def test_as_json_each_entry_is_a_line(follow):
    lines = follow([[entry(1)], [entry(1), entry(2)]], is_json=True).splitlines()
    assert [json.loads(line) for line in lines] == [entry(1), entry(2)]
