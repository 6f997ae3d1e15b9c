import gzip
import io
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from operator import attrgetter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import trio
import zstandard
from fakes import FakeGateway, collector_config

from collector.config import CollectorServiceConfig
from collector.errors import BodyTooLarge, BufferFull, NotReady, UnknownCollector
from collector.formats.bounds import SMALL_BODY
from collector.formats.frames import decode_frames
from collector.ingest.http.head import Head
from collector.ingest.http.receiving import Receiving
from collector.ingest.intake import Intake
from collector.ingest.room import Bodies

ROW = b'{"a": {"0": 1}}'
TABLE = pa.table({"a": [1, 2, 3]})


def _stream(table=TABLE, **options):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _parquet(table=TABLE):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _detail(answer, status):
    body = answer.json()
    assert (answer.status_code, body["status_code"]) == (status, status)
    return body["detail"]


# Kinds of bodies


@pytest.mark.parametrize(
    ("content_type", "body", "rows"),
    [
        (None, ROW, 1),
        ("application/json", b'{"a": [1, 2]}', 2),
        ("application/x-www-form-urlencoded", ROW, 1),
        ("text/plain", ROW, 1),
        ("application/x-ndjson; charset=utf-8", b'{"a": 1}\n{"a": 2}\n', 2),
        ("text/csv", b"a\n1\n2\n", 2),
        ("application/vnd.apache.arrow.stream", _stream(), 3),
        ("application/vnd.apache.parquet", _parquet(), 3),
        ("application/json", b'{"a": {"0": NaN, "1": Infinity}}', 2),
        ("application/json", b"{}", 0),
        ("application/json", b'{"a": {}}', 0),
    ],
)
async def test_data_comes_in_many_forms(service, content_type, body, rows):
    headers = {"content_type": content_type} if content_type else {}
    assert (await service.post("/main/data", body, **headers)).status_code == 201
    assert service.rows() == rows


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
async def test_data_may_be_compressed(service, encoding, compress):
    assert (await service.post("/main/data", compress(ROW), content_encoding=encoding)).status_code == 201
    assert service.rows() == 1


async def test_a_config_and_a_reference_may_be_compressed(service):
    config = gzip.compress(json.dumps(collector_config().model_dump()).encode())
    assert (await service.post("/new", config, content_encoding="gzip")).status_code == 201
    assert (await service.post("/new/reference", gzip.compress(ROW), content_encoding="gzip")).status_code == 201


async def test_a_large_body_is_checked_as_a_small_one_is(service):
    body = json.dumps({"a": list(range(SMALL_BODY))}).encode()
    assert len(body) > SMALL_BODY
    assert (await service.post("/main/data", body)).status_code == 201
    assert service.rows() == SMALL_BODY
    assert "JSON is malformed" in _detail(await service.post("/main/data", body[:-1]), 400)


@pytest.mark.parametrize("path", ["/main/data", "/main/reference", "/main"])
@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({}, b"", "the body is empty"),
        ({}, b" \n", "the body is empty"),
        ({}, b"{bad", "JSON is malformed"),
        ({"content_encoding": "br"}, ROW, "the Content-Encoding 'br' isn't known"),
        ({"content_encoding": "gzip"}, ROW, "isn't gzip"),
        ({"content_encoding": "gzip"}, gzip.compress(b"", mtime=0), "the body is empty"),
    ],
)
async def test_a_bad_body_is_refused_on_each_route_and_nothing_is_kept(service, path, headers, body, told):
    before = service.supervisor.config
    assert told in _detail(await service.post(path, body, **headers), 400)
    assert (service.rows(), service.supervisor.references) == (0, [])
    assert service.supervisor.config == before


@pytest.mark.parametrize("body", [b"5", b'"hello"', b"null", b"[1,2]", b'{"a": {"b": 1}, "c": 2}'])
async def test_what_is_no_table_is_refused(service, body):
    assert _detail(await service.post("/main/data", body), 400)
    assert service.rows() == 0


# Limits


def _sent_in_chunks(body):
    async def chunks():
        for start in range(0, len(body), 10):
            yield body[start : start + 10]

    return chunks()


@pytest.mark.parametrize("sent", [bytes, _sent_in_chunks], ids=["with length", "in chunks"])
@pytest.mark.parametrize("path", ["/main/data", "/main/reference", "/main"])
async def test_a_body_over_its_limit_is_too_large(open_service, path, sent):
    async with open_service(limits={"max_body_bytes": 20}) as service:
        body = json.dumps({"a": [1] * 10}).encode()
        answer = await service.http.post(path, content=sent(body))
        assert "the limit is 20 bytes" in _detail(answer, 413)
        assert (service.rows(), service.supervisor.references) == (0, [])


@pytest.mark.parametrize("take", ["receiving.receive_data", "admin.set_reference", "admin.put_config"])
async def test_a_body_that_announces_too_much_is_not_read_at_all(open_service, take):
    async with open_service(limits={"max_body_bytes": 20}) as service:
        with pytest.raises(BodyTooLarge):
            await attrgetter(take)(service)("main", Head(content_length="21"), Unread())


async def test_columns_that_would_be_too_many_in_a_batch_are_refused_with_their_names(open_service):
    """A table of names that are new in each POST has the square of their cells, and everybody waits for it."""
    async with open_service(limits={"max_columns": 3}) as service:
        for body in (b'{"a": [1], "b": [1]}', b'[{"a": 1, "c": 2}]'):
            assert (await service.post("/main/data", body)).status_code == 201
        answer = await service.post("/main/data", b'{"a": [1], "d": [1], "e": [1]}')
        assert (answer.status_code, answer.json()["new_columns"]) == (400, ["d", "e"])
        assert "the collector's open batch has 3 columns; with the 2 new ones of this body" in answer.json()["detail"]
        arrow = {"content_type": "application/vnd.apache.arrow.stream"}
        typed = await service.post("/main/data", _stream(pa.table({"f": [1]})), **arrow)
        assert (typed.status_code, typed.json()["new_columns"]) == (400, ["f"])
        assert service.rows() == 2


async def test_typed_bodies_have_a_limit_of_their_own(open_service):
    body = _stream()
    limits = {"max_body_bytes": 1, "max_typed_body_bytes": len(body)}
    arrow = {"content_type": "application/vnd.apache.arrow.stream"}
    async with open_service(limits=limits) as service:
        assert (await service.post("/main/data", body, **arrow)).status_code == 201
        assert (await service.post("/main/data", body + b"\0", **arrow)).status_code == 413


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
async def test_the_limit_is_of_the_body_after_decompression(open_service, compress):
    body = compress(b" " * 10_000)
    encoding = "gzip" if compress is gzip.compress else "zstd"
    assert len(body) < 1000
    async with open_service(limits={"max_body_bytes": 1000}) as service:
        assert (await service.post("/main/data", body, content_encoding=encoding)).status_code == 413


@pytest.mark.parametrize(
    ("content_type", "write"),
    [
        ("application/vnd.apache.parquet", _parquet),
        ("application/vnd.apache.arrow.stream", lambda table: _stream(table, compression="zstd")),
    ],
)
async def test_what_formats_compress_by_themselves_counts_decompressed_too(open_service, content_type, write):
    """The limit is "of an Arrow or parquet body, after decompression": a bomb may hide in its pages as well."""
    body = write(pa.table({"a": pa.array([7] * 1_000_000)}))
    limit = 1_000_000
    assert len(body) < limit < 8 * 1_000_000
    async with open_service(limits={"max_typed_body_bytes": limit}) as service:
        assert (await service.post("/main/data", body, content_type=content_type)).status_code == 413


async def test_a_body_that_does_not_come_in_time_is_refused(open_app, autojump_clock):
    async def halting():
        yield b'{"a": '
        await trio.sleep_forever()

    async with open_app(limits={"body_timeout": 5}) as service:
        answer = await service.http.post("/main/data", content=halting())
        assert "didn't arrive within 5 s" in _detail(answer, 408)
        assert service.rows() == 0


class FullJournal:
    """Holds as many bytes as a test says."""

    def __init__(self, of_collector=0, in_all=0):
        self.buffered_bytes_in_all = in_all
        self._of_collector = of_collector

    def buffered_bytes(self, _collector_id):
        return self._of_collector


class Unread:
    def __aiter__(self):
        pytest.fail("the body was read")


@pytest.mark.parametrize(
    ("collector_id", "of_collector", "in_all", "error"),
    [
        ("nobody", 100, 100, UnknownCollector),
        ("main", 100, 100, BufferFull),
        ("main", 99, 100, NotReady),
        ("main", 99, 99, BodyTooLarge),
    ],
)
async def test_what_is_refused_before_the_body_is_read_and_in_which_order(
    service, collector_id, of_collector, in_all, error
):
    limits = {"max_body_bytes": 20, "max_collector_bytes": 100, "max_buffered_bytes": 100}
    service.supervisor.config = CollectorServiceConfig.parse({"limits": limits}).with_collector(collector_config())
    receiving = Receiving(Intake(service.supervisor, FullJournal(of_collector, in_all), None), None, Bodies())
    with pytest.raises(error):
        await receiving.receive_data(collector_id, Head(content_length="21"), Unread())


async def test_a_full_buffer_refuses_events_and_nothing_else(open_service):
    async with open_service(limits={"max_collector_bytes": len(ROW)}) as service:
        assert (await service.post("/main/data", ROW)).status_code == 201
        refused = await service.post("/main/data", ROW)
        assert "which is the limit" in _detail(refused, 429)
        assert refused.headers["Retry-After"]
        assert service.rows() == 1
        assert (await service.post("/main/reference", ROW)).status_code == 201


async def test_a_service_that_is_full_refuses_the_events_of_all(open_service):
    async with open_service(collectors=("main", "other"), limits={"max_buffered_bytes": len(ROW)}) as service:
        assert (await service.post("/main/data", ROW)).status_code == 201
        refused = await service.post("/other/data", ROW)
        assert "which is the limit" in _detail(refused, 503)
        assert refused.headers["Retry-After"]
        assert service.rows("other") == 0


@pytest.mark.parametrize("limit", ["max_concurrent_bodies", "max_concurrent_body_bytes"])
async def test_a_body_beside_others_beyond_the_limit_is_asked_to_come_later(open_service, limit):
    answers = []

    async def slow():
        await service.draining.wait_for_request()
        answers.append(await service.post("/main/data", ROW))
        yield ROW

    async with open_service(limits={limit: 1}) as service:
        assert (await service.post("/main/data", slow())).status_code == 201
        assert "nothing was kept, try again" in _detail(answers[0], 503)
        assert answers[0].headers["Retry-After"]
        assert (await service.post("/main/data", ROW)).status_code == 201
        assert service.rows() == 2


@pytest.mark.parametrize(("limit", "told"), [("max_rows", "2 rows"), ("max_columns", "2 columns")])
async def test_a_table_over_a_limit_is_told_its_number(open_service, limit, told):
    async with open_service(limits={limit: 1}) as service:
        answer = await service.post("/main/data", b'{"a": [1, 2], "b": [3, 4]}')
        assert f"the body has {told}, the limit is 1" in _detail(answer, 413)
        assert service.rows() == 0


# Idempotency keys


@pytest.mark.parametrize("key", ["k" * 256, "k\xff", "k\tk"])
async def test_what_can_be_no_key_is_refused(service, key):
    answer = await service.post("/main/data", ROW, idempotency_key=key.encode("latin-1"))
    assert "an Idempotency-Key has at most 255 characters" in _detail(answer, 400)
    assert service.rows() == 0


async def test_a_request_sent_again_with_its_key_is_kept_once_and_told_so(service):
    for told in (None, "true"):
        answer = await service.post("/main/data", ROW, idempotency_key="k")
        assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (201, told)
    assert service.rows() == 1
    await service.post("/main/data", ROW)
    assert service.rows() == 2


async def test_a_key_is_that_of_the_body_however_it_was_compressed(service):
    await service.post("/main/data", ROW, idempotency_key="k")
    again = await service.post("/main/data", gzip.compress(ROW), idempotency_key="k", content_encoding="gzip")
    assert (again.status_code, service.rows()) == (201, 1)


async def test_a_key_with_another_body_is_refused(service):
    await service.post("/main/data", ROW, idempotency_key="k")
    assert "'k' came before" in _detail(await service.post("/main/data", b'{"a": [2]}', idempotency_key="k"), 422)
    assert service.rows() == 1


# Races


@pytest.mark.parametrize("path", ["/main/data", "/main/reference"])
async def test_a_collector_deleted_while_a_body_arrives_takes_nothing(service, path):
    """Rows that are answered 2xx must not lie with a collector that isn't there."""

    async def slow():
        yield b'{"a": '
        assert (await service.http.delete("/main")).status_code == 200
        yield b"[1]}"

    answer = await service.http.post(path, content=slow())
    assert (answer.status_code, service.rows()) == (404, 0)


LATIN = "name,n\ncaf\xe9,1\n".encode("latin-1")


@pytest.mark.parametrize("size", [0, 100_000, 2_000_000], ids=["small", "large", "in a file"])
@pytest.mark.parametrize(
    ("content_type", "write"),
    [
        ("text/csv; charset=ISO-8859-1", lambda text: text.encode("latin-1")),
        ('text/csv; charset="utf-16"', lambda text: text.encode("utf-16")),
        ("text/csv; charset=windows-1252", lambda text: text.encode("cp1252")),
        ("text/csv;charset=UTF-8", str.encode),
    ],
)
async def test_the_charset_of_the_content_type_is_understood(open_service, content_type, write, size):
    body = write("name,n\n" + "caf\xe9,1\n" * (1 + size // 8))
    async with open_service() as service:
        assert (await service.post("/main/data", body, content_type=content_type)).status_code == 201
        packed = {"content_type": content_type, "content_encoding": "gzip"}
        assert (await service.post("/main/data", gzip.compress(body), **packed)).status_code == 201


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("text/csv", LATIN, "0xE9 isn't UTF-8 (byte 10); send UTF-8, or name the charset"),
        ("text/csv; charset=ascii", LATIN, "0xE9 isn't UTF-8 (byte 10)"),
        ("text/csv; charset=shift_jis", LATIN + b"\x81", "the body isn't shift_jis, as its Content-Type says (byte"),
        ("text/csv; charset=klingon", LATIN, "the charset 'klingon' isn't known here"),
        ("text/csv; charset=base64", LATIN, "the charset 'base64' isn't known here"),
        ("text/csv; charset=idna", LATIN, "the charset 'idna' isn't accepted"),
        ("application/json", b'{"name": "caf\xe9"}', "0xE9 isn't UTF-8 (byte 13)"),
    ],
)
async def test_text_that_is_not_of_its_charset_is_refused_with_the_byte(open_service, content_type, body, told):
    async with open_service() as service:
        answer = await service.post("/main/data", body, content_type=content_type)
        assert (answer.status_code, told in answer.json()["detail"]) == (400, True), answer.text


async def test_what_is_sent_to_a_follower_is_answered_409_and_what_is_sent_to_its_leader_is_kept_for_both(service):
    """By a small body as by a large one, which the front door leaves to another way."""
    follower = collector_config("follower", events_from="main")
    service.supervisor.config = service.supervisor.config.with_collector(follower)
    large = b'{"a": ["%s"]}' % (b"x" * 300_000)
    for number, body in enumerate((ROW, large), start=1):
        answer = await service.post("/follower/data", body)
        assert "gets its events from 'main'" in _detail(answer, 409)
        assert (await service.post("/main/data", body)).status_code == 201
        assert (service.rows(), service.rows("follower")) == (number, number)
    assert service.supervisor.counts.of("follower").refused_requests["is_follower"] == 2
    assert len(service.data_dir.body_files()) == 1


# Private columns

PRIVATE = {"drop": ["name"], "hash": {"email": "pepper"}}
RAW = b"ann@x.example"


@pytest.fixture
async def private_service(open_service):
    async with open_service() as opened:
        with_columns = collector_config("main", columns=PRIVATE)
        opened.supervisor.config = opened.supervisor.config.with_collector(with_columns)
        yield opened


def everything_on_disk(service):
    """Return all that is in the data directory, as one piece."""
    return b"".join(path.read_bytes() for path in sorted(service.data_dir.path.rglob("*")) if path.is_file())


PEOPLE = pa.table({"email": ["ann@x.example"] * 6000, "name": ["Ann Raw"] * 6000, "age": list(range(6000))})


@pytest.mark.parametrize(
    ("content_type", "body", "headers"),
    [
        ("application/json", json.dumps(PEOPLE.slice(0, 2).to_pydict()).encode(), {}),
        ("application/json", json.dumps(PEOPLE.to_pydict()).encode(), {}),
        ("application/x-ndjson", b"\n".join(json.dumps(row).encode() for row in PEOPLE.to_pylist()), {}),
        ("text/csv", b"email,name,age\nann@x.example,Ann Raw,1\n", {}),
        ("application/vnd.apache.arrow.stream", _stream(PEOPLE), {}),
        ("application/vnd.apache.arrow.stream", _stream(PEOPLE.slice(0, 1)), {}),
        ("application/vnd.apache.parquet", _parquet(PEOPLE), {}),
        ("application/json", gzip.compress(json.dumps(PEOPLE.to_pydict()).encode()), {"content_encoding": "gzip"}),
    ],
    ids=["small", "large", "lines", "csv", "arrow", "small arrow", "parquet", "gzip"],
)
async def test_nothing_of_private_columns_reaches_the_disk(private_service, content_type, body, headers):
    answer = await private_service.post("/main/data", body, content_type=content_type, idempotency_key="k", **headers)
    assert answer.status_code == 201
    disk = everything_on_disk(private_service)
    assert RAW not in disk
    assert b"Ann Raw" not in disk
    assert private_service.rows() > 0
    again = await private_service.post("/main/data", body, content_type=content_type, idempotency_key="k", **headers)
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")


async def test_a_reference_has_its_columns_hashed_before_it_is_kept(private_service):
    assert (await private_service.post("/main/reference", json.dumps(PEOPLE.to_pydict()).encode())).status_code == 201
    [(_, frame)] = private_service.supervisor.references
    assert RAW not in everything_on_disk(private_service)
    assert set(frame.names) == {"email", "age"}


async def test_labels_find_their_events_by_the_hash_of_their_key(private_service):
    """From whatever format: an id is hashed by its canonical text."""
    labels = {"key": "id", "columns": ["label"], "report_config": {"metrics": ["DataDriftPreset"]}}
    config = collector_config("main", columns={"hash": {"id": "pepper"}}, labels=labels)
    private_service.supervisor.config = private_service.supervisor.config.with_collector(config)
    assert (await private_service.post("/main/data", b'{"id": [4711]}')).status_code == 201
    csv = b"id,label\n4711,yes\n"
    assert (await private_service.post("/main/labels", csv, content_type="text/csv")).status_code == 201
    with closing(sqlite3.connect(private_service.data_dir.journal)) as db:
        frames = db.execute("SELECT format, body FROM frame ORDER BY seq").fetchall()
    events, kept = (decode_frames([frame]).to_pydict() for frame in frames)
    assert (events["id"], kept["label"]) == (kept["id"], ["yes"])
    assert b"4711" not in everything_on_disk(private_service)


async def test_a_body_with_private_columns_has_to_find_room_in_memory(make_service):
    """It is kept there until they are gone."""
    async with make_service(limits={"max_concurrent_body_bytes": 100_000, "max_concurrent_bodies": 9}) as service:
        config = service.supervisor.config.with_collector(collector_config("main", columns=PRIVATE))
        service.supervisor.config = config
        body = json.dumps(PEOPLE.to_pydict()).encode()

        async def chunks():
            yield body[:10]
            with pytest.raises(NotReady, match="other requests"):
                async with service.receiving.open_frame("main", Head(), body):
                    pass
            yield body[10:]

        async with service.receiving.open_frame("main", Head(), chunks()) as frame:
            assert frame.rows == 6000


@asynccontextmanager
async def passing_on(open_service):
    """Open a service with a collector whose events are fetched, and posted through a gateway, and another."""
    async with open_service(collectors=("main", "other")) as service:
        fetched = collector_config("main", kafka={"topics": ["t"], "gateway_topic": "t"})
        service.supervisor.config = service.supervisor.config.with_collector(fetched)
        service.gateway = service.supervisor.gateways["main"] = FakeGateway()
        yield service


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (ROW, {}),
        (gzip.compress(ROW), {"Content_Encoding": "gzip"}),
        (b'{"a": "%b"}' % bytes(b"x" * SMALL_BODY), {}),
        ('[{"a": "\u00e9"}]'.encode("latin-1"), {"Content_Type": "application/json; charset=latin-1"}),
        (_stream(), {"Content_Type": "application/vnd.apache.arrow.stream"}),
    ],
    ids=["small", "gzip", "large", "charset", "arrow"],
)
async def test_events_for_a_gateway_are_answered_once_they_are_passed_on_and_nothing_is_kept_here(
    open_service, body, headers
):
    async with passing_on(open_service) as service:
        service.gateway.gate.set()
        answer = await service.post("/main/data", body, **headers)
        assert (answer.status_code, answer.json()) == (201, {})
        [(format_, passed)] = service.gateway.passed
        plain = gzip.decompress(body) if "Content_Encoding" in headers else body
        plain = plain.decode("latin-1").encode() if "charset" in headers.get("Content_Type", "") else plain
        assert (format_, passed) == ("arrow" if passed == _stream() else "json", plain)
        assert service.rows() == 0
        assert service.supervisor.counts.of("main").accepted_requests == 1


async def test_a_gateway_without_its_brokers_is_answered_503_and_counted(open_service):
    async with passing_on(open_service) as service:
        service.gateway.gate.set()
        service.gateway.error = NotReady("the Kafka brokers don't confirm the events")
        answer = await service.post("/main/data", ROW)
        assert _detail(answer, 503) == "the Kafka brokers don't confirm the events"
        assert int(answer.headers["Retry-After"]) > 0
        assert service.supervisor.counts.of("main").refused_requests["not_ready"] == 1


@pytest.mark.parametrize(("body", "status"), [(b" ", 400), (b"x" * 101, 413)], ids=["empty", "large"])
async def test_a_gateway_gets_nothing_that_is_empty_or_over_the_limit(open_service, body, status):
    async with passing_on(open_service) as service:
        limits = service.supervisor.config.limits.model_copy(update={"max_body_bytes": 100})
        service.supervisor.config = service.supervisor.config.model_copy(update={"limits": limits})
        service.gateway.gate.set()
        _detail(await service.post("/main/data", body), status)
        assert service.gateway.passed == []


async def test_who_waits_for_brokers_holds_up_nobody(open_service):
    """The front door answers small POSTs together: one that takes long mustn't be among them."""
    async with passing_on(open_service) as service, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(service.post, "/main/data", ROW)
        for _ in range(3):
            assert (await service.post("/other/data", ROW)).status_code == 201
        assert service.rows("other") == 3
        assert service.gateway.passed == []
        service.gateway.gate.set()
    assert len(service.gateway.passed) == 3


async def test_without_a_gateway_events_that_are_fetched_are_refused(open_service):
    async with passing_on(open_service) as service:
        service.supervisor.gateways.clear()
        assert "'gateway_topic'" in _detail(await service.post("/main/data", ROW), 409)
