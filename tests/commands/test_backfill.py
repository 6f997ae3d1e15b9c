"""``backfill`` against a service of the test's own."""

import json
import time
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.commands import backfill as module
from collector.commands import history
from collector.commands.backfill import MOST_WAITING, Order, backfill
from collector.commands.remote import PATIENT_RETRIES
from collector.errors import CommandError, RequestRefused, ServiceUnavailable
from collector.formats.frames import decode_frames

from .fakes import FakeService

FIRST = datetime(2024, 3, 27, 12, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def times(count, step=timedelta(hours=6), first=FIRST):
    return [first + step * number for number in range(count)]


def write(path, moments, first=0):
    """Write one row for each moment, numbered through."""
    texts = [one if one is None else one.isoformat() for one in moments]
    numbers = list(range(first, first + len(texts)))
    if path.suffix == ".csv":
        lines = [f'{number},"a, {number}",{text or ""}\n' for number, text in zip(numbers, texts, strict=True)]
        path.write_text("n,name,ts\n" + "".join(lines), encoding="utf-8")
    elif path.suffix == ".ndjson":
        rows = [{"n": number, "ts": text} for number, text in zip(numbers, texts, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.table({"n": numbers, "ts": pa.array(moments, pa.timestamp("ms", "UTC"))}), path)
    return str(path)


def order(*files, **others):
    return Order("main", files, "ts", **{"period": "1d"} | others)


def sent(service):
    """Return what came: by the start of each batch, its numbers."""
    return {
        query["start"]: list(map(int, decode_frames([(format_, body)]).column("n").to_pylist()))
        for query, format_, body in service.batches
    }


@pytest.mark.parametrize("name", ["events.parquet", "events.csv", "events.ndjson"])
def test_each_period_is_a_batch_of_its_rows_in_their_order(tmp_path, name):
    service = FakeService()
    told = backfill(order(write(tmp_path / name, times(8))), service)
    assert sent(service) == {
        "2024-03-27T00:00:00+00:00": [0, 1],
        "2024-03-28T00:00:00+00:00": [2, 3, 4, 5],
        "2024-03-29T00:00:00+00:00": [6, 7],
    }
    assert told[0] == "3 batches of 8 rows sent to main"
    assert {query["backfill"] for query, *_ in service.batches} == {"true"}
    assert service.retries == [0, PATIENT_RETRIES]


@pytest.mark.parametrize("name", ["events.parquet", "events.csv", "events.ndjson"])
def test_the_same_files_again_change_nothing_also_beside_others(tmp_path, name):
    """Bodies are the same bytes, though others are read between."""
    service = FakeService()
    files = [write(tmp_path / f"{number}-{name}", times(40), 40 * number) for number in range(2)]
    backfill(order(*files), service)
    before = list(service.batches)
    told = backfill(
        order(*files, write(tmp_path / f"late-{name}", times(4, first=FIRST + timedelta(days=20)))), service
    )
    assert service.batches[: len(before)] == before
    assert told[0] == "2 batches of 4 rows sent to main"
    assert told[1] == f"{len(before)} batches had been sent before; --replace computes their reports again"


def test_a_day_is_one_of_its_zone(tmp_path):
    """On 2024-03-31, Berlin's day has 23 hours."""
    service = FakeService()
    file = write(tmp_path / "e.parquet", times(60, timedelta(hours=1), datetime(2024, 3, 30, 22, tzinfo=UTC)))
    backfill(order(file, timezone=BERLIN), service)
    assert [(query["start"], query["end"]) for query, *_ in service.batches][1] == (
        "2024-03-30T23:00:00+00:00",
        "2024-03-31T22:00:00+00:00",
    )
    assert [len(numbers) for numbers in sent(service).values()] == [1, 23, 24, 12]


@pytest.mark.parametrize("name", ["events.parquet", "events.csv", "events.ndjson"])
def test_rows_of_a_period_may_come_from_anywhere_and_memory_is_bounded(tmp_path, name, monkeypatch):
    monkeypatch.setattr(history, "_HELD_BYTES", 100)
    monkeypatch.setattr(history, "_BLOCK_ROWS", 3)
    service = FakeService()
    files = [write(tmp_path / f"{number}-{name}", times(12)[::-1], 12 * number) for number in range(2)]
    backfill(order(*files), service)
    assert sent(service)["2024-03-28T00:00:00+00:00"] == [6, 7, 8, 9, 18, 19, 20, 21]
    assert sum(map(len, sent(service).values())) == 24


def test_rows_that_are_many_periods_apart_are_each_of_their_own(tmp_path):
    """Of 40 years there are more hours than a backfill may have batches."""
    service = FakeService()
    moments = [datetime(1985, 5, 1, 7, 30, tzinfo=UTC), *times(2, timedelta(hours=1))]
    backfill(order(write(tmp_path / "e.parquet", moments), period="1h"), service)
    starts = [one.replace(minute=0, second=0, microsecond=0).isoformat() for one in moments]
    assert sent(service) == {start: [number] for number, start in enumerate(starts)}


def test_parquet_files_of_other_types_go_together(tmp_path):
    service = FakeService()
    one = write(tmp_path / "a.parquet", times(1))
    pq.write_table(pa.table({"n": [1.5], "ts": [FIRST.isoformat()], "more": ["x"]}), tmp_path / "b.parquet")
    backfill(order(one, str(tmp_path / "b.parquet")), service)
    [(_, format_, body)] = service.batches
    table = decode_frames([(format_, body)])
    assert table.select(["n", "more"]).to_pydict() == {"n": [0.0, 1.5], "more": [None, "x"]}


@pytest.mark.parametrize(("name", "format_"), [("e.csv", "csv"), ("e.ndjson", "ndjson")])
def test_text_that_is_too_large_goes_as_arrow_and_means_the_same(tmp_path, name, format_, monkeypatch):
    """But for CSV with quotes, of which Arrow has no words."""
    file = tmp_path / name
    rows = [f"{number},{one.isoformat()}" for number, one in enumerate(times(4))]
    if format_ == "csv":
        file.write_text("n,ts\n" + "\n".join(rows) + "\n", encoding="utf-8")
    else:
        write(file, times(4))
    small, large = FakeService(), FakeService()
    backfill(order(str(file)), small)
    monkeypatch.setattr(history, "MAX_TEXT_BYTES", 1)
    backfill(order(str(file)), large)
    for (_, came, one), (_, arrow, other) in zip(small.batches, large.batches, strict=True):
        assert (came, arrow) == (format_, "arrow")
        tables = decode_frames([(came, one)]), decode_frames([(arrow, other)])
        assert tables[0].schema.equals(tables[1].schema, check_metadata=True)
        assert tables[0].equals(tables[1])


def test_a_dry_run_says_what_would_be_made_and_sends_nothing(tmp_path):
    service = FakeService()
    file = write(tmp_path / "e.csv", [*times(100), None])
    told = backfill(order(file, is_dry=True), service)
    assert (service.batches, service.retries) == ([], [0])
    assert (told[0], told[10]) == ("2024-03-27 00:00+00:00  2 rows", "… 6 more")
    assert told[-2:] == [
        "26 batches of 100 rows would be made; nothing was sent",
        "1 row left out: no time in 'ts'",
    ]


def test_a_period_that_isnt_over_is_left_out(tmp_path):
    """Later it would have more rows, and be another batch."""
    now = datetime.fromtimestamp(time.time(), UTC)
    service = FakeService()
    told = backfill(order(write(tmp_path / "e.parquet", [now - timedelta(days=1), now])), service)
    assert len(service.batches) == 1
    assert "1 period left out: not over yet" in told


def test_replacing_is_asked_for_with_each_batch(tmp_path):
    service = FakeService()
    file = write(tmp_path / "e.parquet", times(1))
    assert backfill(order(file, is_replacement=True), service)[0].startswith("1 batch of 1 row sent")
    assert service.batches[0][0]["replace"] == "true"


def test_it_waits_while_many_batches_wait_for_their_reports(tmp_path, monkeypatch):
    service, pauses = FakeService(), []
    service.collectors[0]["sealed"] = MOST_WAITING + 1

    def pause(seconds):
        pauses.append(seconds)
        service.collectors[0]["sealed"] -= 1

    monkeypatch.setattr(module.time, "sleep", pause)
    backfill(order(write(tmp_path / "e.parquet", times(1))), service)
    assert (len(pauses), len(service.batches)) == (2, 1)


@pytest.mark.parametrize(("name", "limit"), [("e.csv", "max_body_bytes"), ("e.parquet", "max_typed_body_bytes")])
def test_what_is_too_large_is_told_with_the_limit_of_its_format(tmp_path, name, limit):
    with pytest.raises(CommandError) as stopped:
        backfill(order(write(tmp_path / name, times(1))), FakeService(trouble={1: RequestRefused(413, "too large")}))
    assert stopped.value.hint == f"take a shorter --period, or raise limits.{limit}"


def test_it_doesnt_wait_for_reports_that_cant_be_made(tmp_path):
    service = FakeService()
    service.collectors[0] |= {"sealed": MOST_WAITING, "problems": ["no file reference.parquet"]}
    with pytest.raises(CommandError, match=r"main makes no reports: no file reference\.parquet"):
        backfill(order(write(tmp_path / "e.parquet", times(1))), service)


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (
            RequestRefused(413, "too large"),
            "the batch of 2024-03-28 00:00+00:00, 4 rows: too large",
            "shorter --period",
        ),
        (ServiceUnavailable("it can't be reached"), "stopped: it can't be reached", "run the same command again"),
    ],
)
def test_where_it_stops_it_says_how_to_go_on(tmp_path, error, said, hint):
    with pytest.raises(CommandError) as stopped:
        backfill(order(write(tmp_path / "e.parquet", times(8))), FakeService(trouble={2: error}))
    assert (str(stopped.value), hint in stopped.value.hint) == (said, True)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"period": "7h"}, "--period 7h: isn't a period; write whole days"),
        ({"period": "soon"}, "--period soon: isn't a duration"),
        ({"timezone": "Berlin"}, "--timezone: no time zone 'Berlin'"),
    ],
)
def test_what_can_be_no_period_is_refused_before_anything_is_read(others, said):
    with pytest.raises(CommandError) as refused:
        backfill(order("nowhere.csv", **others), FakeService())
    assert said in str(refused.value)


def test_files_that_dont_go_together_are_told(tmp_path):
    csv, parquet = write(tmp_path / "a.csv", times(1)), write(tmp_path / "b.parquet", times(1))
    other = tmp_path / "c.csv"
    other.write_text("ts,n\n2024-03-27,1\n", encoding="utf-8")
    for files, said in (
        ((csv, parquet), "is csv, and"),
        ((csv, str(other)), "has other columns than"),
        ((str(tmp_path / "d.csv"),), "there is no file"),
    ):
        with pytest.raises(CommandError, match=said):
            backfill(order(*files), FakeService())


@pytest.mark.parametrize("name", ["e.csv", "e.parquet"])
def test_a_column_that_isnt_there_is_told_with_one_that_is_like_it(tmp_path, name):
    with pytest.raises(CommandError) as refused:
        backfill(Order("main", [write(tmp_path / name, times(1))], "tss", "1d"), FakeService())
    assert "has no column 'tss'" in str(refused.value)
    assert "ts" in refused.value.hint


def test_without_any_time_nothing_is_sent(tmp_path):
    with pytest.raises(CommandError, match="no row has a time in 'n'"):
        backfill(Order("main", [write(tmp_path / "e.csv", times(3))], "n", "1d"), FakeService())
