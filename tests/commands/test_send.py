"""``send`` against a service of the test's own."""

import io
import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from collector.commands.remote import PATIENT_RETRIES
from collector.commands.send import MAX_ROWS, Order, send
from collector.errors import CommandError, RequestRefused, ServiceUnavailable
from collector.formats.frames import decode_frames

from .fakes import FakeService

_FORMATS = {"application/vnd.apache.arrow.stream": "arrow", "application/x-ndjson": "ndjson", "text/csv": "csv"}


@pytest.fixture
def events(tmp_path):
    """Ten rows."""
    path = tmp_path / "events.csv"
    path.write_text("id\n" + "".join(f"{number}\n" for number in range(1, 11)), encoding="utf-8")
    return path


def rows_of(service):
    bodies = [("csv", body) for _, _, body in service.kept.values()]
    return list(map(int, decode_frames(bodies).column("id").to_pylist()))


def test_all_rows_are_sent_in_their_order_and_counted(events):
    service = FakeService(rows_needed=4)
    assert send(Order(str(events)), service) == f"{events}: 10 rows sent to main"
    assert rows_of(service) == list(range(1, 11))
    assert service.sendings == 3  # no more rows in a request than a batch is to have


@pytest.mark.parametrize(("rows_needed", "rows", "sendings"), [(None, None, 1), (MAX_ROWS * 9, None, 1), (4, 5, 2)])
def test_how_many_rows_a_request_has(events, rows_needed, rows, sendings):
    service = FakeService(rows_needed=rows_needed)
    send(Order(str(events), rows=rows), service)
    assert service.sendings == sendings


def test_the_same_command_again_doubles_nothing_unless_that_is_asked_for(events):
    service = FakeService(rows_needed=4)
    send(Order(str(events)), service)
    assert "0 of 10 rows were new to main, 10 had been sent before; --again" in send(Order(str(events)), service)
    assert rows_of(service) == list(range(1, 11))
    assert send(Order(str(events), is_again=True), service).endswith("10 rows sent to main")
    assert len(rows_of(service)) == 20


def test_equal_rows_at_different_places_and_in_different_files_are_different(tmp_path):
    service = FakeService()
    for name in ("one.csv", "other.csv"):
        (tmp_path / name).write_text("id\n7\n7\n7\n", encoding="utf-8")
        send(Order(str(tmp_path / name), rows=1), service)
    assert rows_of(service) == [7] * 6


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ServiceUnavailable("can't be reached"), "stopped before row 5: can't be reached"),
        (KeyboardInterrupt(), "stopped before row 5"),
    ],
)
def test_an_interrupted_sending_is_gone_on_with_by_the_same_command(events, error, says):
    service = FakeService(rows_needed=4, trouble={2: error})
    with pytest.raises(CommandError, match=says) as caught:
        send(Order(str(events)), service)
    assert "goes on where this one stopped, and sends nothing twice" in caught.value.hint
    assert caught.value.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert "6 of 10 rows were new" in send(Order(str(events)), service)
    assert rows_of(service) == list(range(1, 11))


def test_an_interrupted_sending_anew_is_gone_on_with_from_its_row(events):
    service = FakeService(rows_needed=4, trouble={2: KeyboardInterrupt()})
    with pytest.raises(CommandError) as caught:
        send(Order(str(events), is_again=True), service)
    assert caught.value.hint == "go on with --again --from 5"
    assert send(Order(str(events), is_again=True, first=5), service).endswith("6 rows sent to main")
    assert rows_of(service) == list(range(1, 11))


def test_a_refusal_names_file_and_rows(events):
    service = FakeService(rows_needed=4, trouble={2: RequestRefused(400, "bad")})
    with pytest.raises(CommandError, match=r"events\.csv, rows 5 to 8: bad"):
        send(Order(str(events)), service)


@pytest.mark.parametrize("name", ["events.csv", "events.ndjson", "events.parquet"])
def test_behind_a_smaller_limit_all_rows_are_sent_once_and_a_second_run_doubles_nothing(tmp_path, name):
    table = pa.table({"id": range(1, 2001), "text": ['a, "b"\nc'] * 2000})
    file = tmp_path / name
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    elif file.suffix == ".csv":
        pa.csv.write_csv(table, file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")
    service = FakeService(max_bytes=9_000, trouble={5: KeyboardInterrupt()})
    with pytest.raises(CommandError, match="stopped before row"):
        send(Order(str(file), rows=700), service)
    assert "were new to main" in send(Order(str(file), rows=700), service)
    bodies = [(_FORMATS[media_type], body) for _, media_type, body in service.kept.values()]
    kept = decode_frames(bodies).column("id").to_pylist()
    assert [int(number) for number in kept] == list(range(1, 2001))
    tried = service.sendings
    assert "0 of 2,000 rows were new" in send(Order(str(file), rows=700), service)
    assert service.sendings - tried <= 2 * len(service.kept)


def test_a_row_that_is_too_large_alone_is_named(tmp_path):
    file = tmp_path / "events.ndjson"
    file.write_text("".join(json.dumps({"n": "x" * (500 if n == 7 else 5)}) + "\n" for n in range(1, 11)))
    with pytest.raises(CommandError, match=r"events\.ndjson, row 7: too large") as caught:
        send(Order(str(file)), FakeService(max_bytes=200))
    assert caught.value.hint == "this row is too large for the service, or a proxy before it"


def test_the_collector_has_to_be_named_among_several(events):
    with pytest.raises(CommandError, match="several collectors") as caught:
        send(Order(str(events)), FakeService("a", "b"))
    assert caught.value.hint == "name one with --id: a, b"
    service = FakeService("a", "b")
    assert send(Order(str(events), collector_id="b"), service).endswith("sent to b")
    assert {collector_id for collector_id, _, _ in service.kept.values()} == {"b"}


def test_a_service_that_is_busy_is_waited_for_longer_than_one_that_is_not_there(events):
    service = FakeService()
    send(Order(str(events)), service)
    assert service.retries == [0, PATIENT_RETRIES, 0]  # before, to send, and to say what comes next


def test_a_bar_is_shown_on_a_terminal_only(events, monkeypatch):
    shown = {}
    for is_terminal in (True, False):
        file = io.StringIO()
        console = Console(file=file, force_terminal=is_terminal, width=80)
        monkeypatch.setattr("rich.console.Console", lambda console=console, **_: console)
        send(Order(str(events), rows=5), FakeService())
        shown[is_terminal] = file.getvalue()
    assert "10 rows" in shown[True]
    assert shown[True].endswith("\x1b[2K")  # the bar is gone when the end is told
    assert shown[False] == ""


def test_labels_are_sent_as_labels_in_pieces_that_no_trigger_bounds(events):
    service = FakeService(rows_needed=4)
    assert send(Order(str(events), is_labels=True), service) == f"{events}: 10 rows sent to main"
    assert (service.what, service.sendings) == ({"labels"}, 1)
