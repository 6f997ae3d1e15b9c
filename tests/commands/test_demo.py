"""The parts of the demo; tests/integration runs it whole."""

import io

import pytest
from rich.console import Console

from collector.commands import demo
from collector.commands.demo import (
    BATCH_ROWS,
    BATCHES,
    DRIFTED_BATCHES,
    REFERENCE_ROWS,
    _config,
    _load,
    _outcomes,
    _say_goodbye,
    _screen,
    _send_and_watch,
)
from collector.errors import CollectorError


class FakeClient:
    """Answers with the logs that it has, and gathers what is sent."""

    def __init__(self, logs=()):
        self.logs = list(logs)
        self.sent = []

    def send_data(self, collector_id, rows):
        assert collector_id == "demo"
        self.sent.append(rows)

    def get_logs(self, collector_id):
        assert collector_id == "demo"
        return self.logs


def entry(number, type_="UploadReport", **fields):
    """Make an entry of the log; the time is in the future, as all that a run makes is after its start."""
    made = {"type": type_, "ok": True, "error": "", "time": f"9999-01-01T00:00:0{number}", "rows": BATCH_ROWS}
    return made | {"drift_share": number / 10, "drifted_columns": number, "columns": 10} | fields


def shown(thing):
    console = Console(file=io.StringIO(), width=100)
    console.print(thing)
    return console.file.getvalue()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(demo.time, "sleep", lambda _seconds: None)


class FakeLive:
    def update(self, screen):
        self.screen = screen


def test_the_stream_drifts_half_way_and_shares_no_patient_with_the_reference():
    reference, stream = _load()
    assert (len(reference), len(stream)) == (REFERENCE_ROWS, BATCHES * BATCH_ROWS)
    assert not set(reference.index) & set(stream.index)
    drifted = stream[-DRIFTED_BATCHES * BATCH_ROWS :]
    usual = stream[: -DRIFTED_BATCHES * BATCH_ROWS]
    # Malignant tumours are larger; the reference's spread is the measure.
    spread = reference["mean radius"].std()
    assert drifted["mean radius"].mean() - reference["mean radius"].mean() > spread
    assert abs(usual["mean radius"].mean() - reference["mean radius"].mean()) < spread / 2


def test_the_config_is_sound_and_can_be_saved(tmp_path):
    _config().save(tmp_path / "config.json")
    loaded = type(_config()).load(tmp_path / "config.json")
    assert loaded.collectors["demo"].trigger.rows == BATCH_ROWS
    assert loaded.collectors["demo"].workspace_kind == "directory"


def test_each_event_is_sent_by_itself_and_each_batch_is_waited_for(quick):
    _, stream = _load()
    client = FakeClient([entry(number) for number in range(BATCHES, 0, -1)])
    outcomes = _send_and_watch(client, stream, FakeLive())
    assert [len(rows) for rows in client.sent] == [1] * len(stream)
    assert [outcome["drifted_columns"] for outcome in outcomes] == [1, 2, 3, 4, 5, 6]


def test_a_failure_ends_it_with_its_reason(quick):
    _, stream = _load()
    client = FakeClient([entry(1, "CreateReport", ok=False, error="Error running report: bad")])
    with pytest.raises(CollectorError, match="Error running report: bad"):
        _send_and_watch(client, stream, FakeLive())


def test_snapshots_that_do_not_come_end_it(quick, monkeypatch):
    monkeypatch.setattr(demo, "PATIENCE", -1)
    _, stream = _load()
    with pytest.raises(CollectorError, match="only 1 of 6 snapshots came"):
        _send_and_watch(FakeClient([entry(1)]), stream, FakeLive())


def test_what_an_earlier_run_logged_is_left_out():
    client = FakeClient([entry(1), entry(2, time="2000-01-01T00:00:00")])
    assert len(_outcomes(client, "2020-01-01T00:00:00")) == 1


def test_a_screen_tells_drift_from_none():
    text = shown(_screen(80, [entry(4), entry(5)]))
    assert "80 events sent" in text
    first, second = (line for line in text.splitlines() if " of 10" in line)
    assert "no drift" in first
    assert "no drift" not in second
    assert "drift" in second


def test_until_the_first_snapshot_it_says_what_takes_so_long():
    assert "Evidently loads" in shown(_screen(10, []))


def test_it_ends_by_saying_how_to_look_at_the_snapshots(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    _say_goodbye(tmp_path, [entry(4), entry(6)], console)
    said = console.file.getvalue()
    assert f"evidently ui --workspace {tmp_path}/workspace" in said
    assert "snapshot 2 was the first to say so" in said
