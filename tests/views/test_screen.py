"""What stands on the screen, as text; what it looks like is in examples/pictures."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from collector.status.status import ConfigState, ServiceStatus, Status
from collector.views.history import History
from collector.views.screen import Screen

from .statuses import MINUTE, NOON, collector, service

MANY = [collector(f"model-{number}") for number in range(50)]
AWAY = collector("away", "undelivered", outbox=2, outbox_since=NOON - 3 * MINUTE, last_error="http://ui: refused")


def screen(status, width=80, height=None, history=None, **options):
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(Screen(status, history, width, height, "http://127.0.0.1:8001"), crop=False)
    return console.file.getvalue()


def test_the_header_says_what_runs_where_since_when():
    first, second, third, *_ = screen(service(collector(snapshots=3))).splitlines()
    assert first.startswith("── evidently-collector 1.2.3 ── http://127.0.0.1:8001 ── up 3h ───")
    assert second == "config     collector_config.json, loaded 10m ago"
    assert third == "workspace  3 snapshots made, all delivered"


def test_a_bad_edit_is_told_in_red_and_whole():
    error = "collector_config.json: collectors.main.trigger.interval (line 7, column 22): must be greater than 0"
    text = screen(service(collector(), error=error))
    assert f"✖ edit not in force: {error}" in " ".join(text.split())
    assert "\x1b[31m✖ edit not in force" in screen(service(error=error), force_terminal=True, color_system="standard")


def test_what_needs_a_restart_is_named():
    assert "restart the service to apply data_dir, port" in screen(service(needs_restart=("data_dir", "port")))


def test_a_disk_that_refuses_is_told():
    assert "✖ no events are accepted, as the disk refuses writes: no space left" in screen(
        service(trouble="no space left")
    )


def test_workspaces_that_are_away_are_counted():
    assert "▲ 1 of 2 collectors undelivered for 3m, 2 snapshots on disk" in screen(service(collector(), AWAY))


def test_snapshots_on_their_way_are_counted():
    assert "4 snapshots made, 1 on the way" in screen(service(collector(snapshots=4, outbox=1)))


def test_a_collectors_trouble_stands_below_it():
    lines = screen(service(AWAY)).splitlines()
    assert lines[-2].startswith("▲ away")
    assert lines[-1] == "    2 snapshots undelivered for 3m: http://ui: refused"


def test_a_retired_collector_says_what_to_do_and_is_no_trouble():
    text = screen(service(collector("old", "retired", rows_waiting=5)), width=100)
    assert "◌ old" in text
    assert "its rows are kept: put it back there, or delete it: evidently-collector delete old" in " ".join(
        text.split()
    )


def test_a_collector_that_works_but_has_failed_batches_is_marked():
    assert "▲ main" in screen(service(collector(failed=1)))


def test_without_collectors_it_says_how_to_have_one():
    assert "no collectors yet: add one" in screen(service())


def test_collectors_that_fit_keep_their_order():
    text = screen(service(collector("b"), AWAY, collector("a")), height=20)
    assert text.index("● b") < text.index("▲ away") < text.index("● a")


def test_of_too_many_those_in_trouble_come_first_and_the_rest_is_counted():
    lines = screen(service(*MANY, AWAY), height=12).splitlines()
    assert len(lines) == 12
    assert lines[4].startswith("▲ away")
    assert lines[6].startswith("● model-0")  # the others in their order
    assert lines[-1] == "  and 45 more, all well"


def test_trouble_that_has_no_room_is_counted():
    bad = [replace(AWAY, id=f"away-{number}") for number in range(9)]
    assert screen(service(*MANY, *bad), height=12).splitlines()[-1] == "  and 56 more, 6 of them in trouble"


def test_80_columns_have_less_than_200():
    narrow, wide = (screen(service(collector()), width, history=History()) for width in (80, 200))
    assert "rows/s" in narrow
    assert "last snapshot" in narrow
    assert "failed" not in narrow
    assert "failed" in wide


def test_a_long_id_is_cut_and_a_long_path_keeps_its_end():
    text = screen(service(collector("x" * 70), path="/srv/" + "deep/" * 30 + "config.json"))
    assert "xxx…" in text
    assert "deep/config.json, loaded" in text


def test_ids_are_as_wide_as_they_look():
    columns = [line.rindex("0/9") for line in map(_by_cell, _lines_of("模型", "model"))]
    assert columns[0] == columns[1]


def _lines_of(*ids):
    return screen(service(*(collector(one, rows_needed=9) for one in ids))).splitlines()[-len(ids) :]


def _by_cell(line):
    return "".join(character * cell_len(character) for character in line)


@pytest.mark.parametrize("state", ["starting", "evaluating", "crashed", "retired", "unheard-of"])
def test_each_state_has_its_line(state):
    assert state in screen(service(collector("one", state)), 120)


def test_no_colour_is_bright_black_or_white():
    """Those vanish on a light or a dark terminal: 30, 37 and from 90 on; yellow and cyan, 33 and 36, on a light one."""
    statuses = [collector(state=state, last_snapshot={"rows": 1}) for state in ("waiting", "crashed", "undelivered")]
    text = screen(service(*statuses, error="x", trouble="y"), 200, force_terminal=True, color_system="standard")
    codes = {code for part in text.split("\x1b[")[1:] for code in part.partition("m")[0].split(";")}
    assert codes <= {"0", "1", "2", "31", "32", "35"}


BAD = {
    "is_bad": True,
    "bad_since": NOON - 7200,
    "trend": "worse",
    "trend_over": 10,
    "rows": 40,
    "tests": {"passed": 11, "failed": 3},
    "findings": {
        "failed_tests": [
            {"name": f"Minimal value of '{name}': Equal 1", "column": name, "status": "failed", "value": -3.0}
            for name in ("age", "income", "plan")
        ]
    },
}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_collector_whose_tests_fail_is_not_calm_and_says_which_since_when_and_whether_it_is_worse(width):
    text = screen(service(collector("one", last_snapshot=BAD)), width)
    said = " ".join(text.split())
    assert "3 of 14 tests failed (Minimal value of 'age' -3, Minimal value of 'income' -3" in said
    assert ("▲ one" in text, "●" in text) == (True, False)
    assert "for 2h, worse than the last 10" in said
    assert "3/14 failed" in text


def test_what_is_sealed_and_waits_is_told_with_its_rows():
    assert "2 batches of 12.3k rows sealed" in screen(service(collector("one", sealed=2, sealed_rows=12_345)))
    assert "sealed" not in screen(service(collector("one", "evaluating", sealed=1, sealed_rows=9)))


def test_collectors_whose_last_snapshot_is_bad_are_counted_among_those_left_out():
    many = [collector(f"c{number}", last_snapshot=BAD if number < 9 else {}) for number in range(20)]
    assert "in trouble" in screen(service(*many), 100, 12)


words = st.text(max_size=60)
times = st.none() | st.floats(0, 4e9)
counts = st.integers(0, 10**12)
snapshots = st.fixed_dictionaries(
    {},
    optional={
        "time": st.floats(0, 4e9),
        "rows": counts,
        "drift_share": st.floats(0, 1),
        "drifted_columns": counts,
        "columns": counts,
        "tests": st.dictionaries(st.sampled_from(["passed", "failed", "error"]), counts),
        "is_bad": st.booleans(),
        "bad_since": times,
    },
)
statuses = st.builds(
    Status,
    id=words,
    state=st.sampled_from(["waiting", "undelivered", "crashed", "misconfigured", "retired", "new"]),
    rows_waiting=counts,
    rows_needed=st.none() | counts,
    rows_accepted=counts,
    last_time=times,
    next_time=times,
    outbox=counts,
    outbox_since=times,
    failed=counts,
    problems=st.tuples(words),
    last_error=words,
    last_snapshot=snapshots,
)
services = st.builds(
    ServiceStatus,
    version=words,
    started=st.floats(0, 4e9),
    time=st.floats(0, 4e9),
    trouble=words,
    config=st.builds(ConfigState, path=words, loaded=st.floats(0, 4e9), error=words, needs_restart=st.tuples(words)),
    collectors=st.lists(statuses, max_size=5, unique_by=lambda status: status.id).map(tuple),
)


@given(services, st.integers(1, 220), st.integers(1, 60))
def test_whatever_a_status_says_it_fits_the_terminal(status, width, height):
    history = History()
    history.note(status)
    made = Screen(status, history, width, height, "http://127.0.0.1:8001")
    assert len(made.lines) <= height
    text = screen(status, width, height, history)
    assert text.count("\n") == len(made.lines)
    assert max((cell_len(line) for line in text.split("\n")), default=0) <= width
    assert all(character.isprintable() for character in text.replace("\n", ""))


def test_an_id_of_thirty_characters_is_read_whole_at_80_columns():
    name = "customer-churn-europe-west-2-b"
    text = screen(service(collector(name, rows_needed=9)), 80)
    assert name in text
    assert "last snapshot" in text
