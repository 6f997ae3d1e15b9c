"""Large bodies over HTTP: on the disk as they come in, and nothing of those that are refused."""

import gzip
import json
import time

import pyarrow as pa
import pytest
import trio
from machine import PATIENCE

from collector.errors import StorageError
from collector.ingest.intake import Pending
from collector.ingest.room import MAX_HELD, MAX_WRITE
from collector.store.body_files import BodyWriter

ROWS = 60_000
LARGE = json.dumps({"a": list(range(ROWS))}).encode()
KEYED = json.dumps({"a": {str(row): row for row in range(ROWS)}}).encode()


def arrow():
    sink = pa.BufferOutputStream()
    table = pa.table({"a": pa.array(range(ROWS * 10))})
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


async def pieces(body):
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("body", [LARGE, KEYED], ids=["lists", "keyed"])
async def test_a_large_body_is_in_a_file(open_service, body):
    async with open_service() as service:
        assert (await service.post("/main/data", body)).status_code == 201
        [path] = service.data_dir.body_files()
        assert (path.read_bytes(), service.rows()) == (body, ROWS)


async def test_one_behind_the_other_and_nothing_of_those_between_them_that_are_refused(open_service):
    """What Arrow's numbers are read from isn't the beginning of the file then."""
    typed = {"content_type": "application/vnd.apache.arrow.stream"}
    async with open_service() as service:
        for body, status in ((arrow(), 201), (arrow()[:-100_000], 400), (arrow(), 201)):
            assert (await service.post("/main/data", body, **typed)).status_code == status
        [path] = service.data_dir.body_files()
        found, size = path.read_bytes(), len(arrow())
        assert (found[:size], found[-size:], service.rows()) == (arrow(), arrow(), 20 * ROWS)
        assert len(found) < 2 * size + 64


async def test_of_two_that_come_in_at_once_none_waits_for_the_other(open_service):
    """Each has a file for itself; that of the slower is cut back when its client leaves."""
    async with open_service() as service:
        await service.post("/main/data", LARGE)
        [path] = service.data_dir.body_files()
        before = path.stat().st_size

        async def slowly():
            yield b'{"a": [' + b"1, " * MAX_WRITE
            await trio.sleep_forever()

        async def post_slowly():
            await service.http.post("/main/data", content=slowly())

        async def wait_until(is_so):
            with trio.fail_after(PATIENCE):
                while not is_so():
                    await trio.to_thread.run_sync(time.sleep, 0.01)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(post_slowly)
            await wait_until(lambda: path.stat().st_size > before)
            assert (await service.post("/main/data", KEYED)).status_code == 201
            nursery.cancel_scope.cancel()
        await wait_until(lambda: path.stat().st_size - before in range(-1, 64))
        assert path.read_bytes().strip(bytes(1)) == LARGE
        assert len(service.data_dir.body_files()) == 2


@pytest.mark.parametrize("body", [LARGE, KEYED[: MAX_WRITE // 2].rpartition(b",")[0] + b"}}"])
async def test_a_usual_one_that_comes_as_one_piece_needs_no_process(open_front_door, monkeypatch, body):
    async with open_front_door() as service:
        monkeypatch.setattr(service.intake._spool, "_check", None)  # noqa: SLF001  (it is what isn't to be called)
        assert (await service.post("/main/data", body)).status_code == 201
        assert service.rows() == len(json.loads(body)["a"])


async def test_a_small_one_is_in_the_journal(open_service):
    async with open_service() as service:
        body = json.dumps({"a": [0] * (MAX_HELD // 4)}).encode()
        assert (await service.post("/main/data", body)).status_code == 201
        assert (service.data_dir.body_files(), service.rows()) == ([], MAX_HELD // 4)


async def test_its_length_need_not_be_known_and_it_may_be_compressed(open_service):
    async with open_service() as service:
        assert (await service.http.post("/main/data", content=pieces(LARGE))).status_code == 201
        assert (await service.post("/main/data", gzip.compress(LARGE), content_encoding="gzip")).status_code == 201
        [path] = service.data_dir.body_files()
        assert path.read_bytes().replace(bytes(1), b"") == LARGE * 2


async def test_of_an_arrow_body_little_is_in_memory(open_front_door, monkeypatch):
    written = []
    write = BodyWriter._write  # noqa: SLF001  (it is what is watched)
    monkeypatch.setattr(BodyWriter, "_write", lambda of, file, data: written.append(len(data)) or write(of, file, data))
    async with open_front_door() as service:
        answer = await service.post("/main/data", arrow(), content_type="application/vnd.apache.arrow.stream")
        assert (answer.status_code, service.rows()) == (201, 10 * ROWS)
    assert max(written) < 2 * MAX_WRITE
    assert sum(written) == len(arrow())


@pytest.mark.parametrize("body", [LARGE[:-1], KEYED.replace(b'"7"', b'"8"'), b"[" + LARGE + b", 1]"])
async def test_one_that_is_no_table_leaves_nothing(open_service, body):
    async with open_service() as service:
        assert (await service.post("/main/data", body)).status_code == 400
        assert (service.data_dir.body_files(), service.rows()) == ([], 0)


@pytest.mark.parametrize("body", [b'{"a": []}', b"[]"])
async def test_one_without_rows_leaves_nothing(open_service, body):
    async with open_service() as service:
        assert (await service.post("/main/data", body[:-1] + b" " * MAX_HELD + body[-1:])).status_code == 201
        assert (service.data_dir.body_files(), service.rows()) == ([], 0)


async def test_one_that_is_too_large_leaves_nothing(open_service):
    async with open_service(limits={"max_rows": ROWS - 1}) as service:
        assert (await service.post("/main/data", LARGE)).status_code == 413
    async with open_service(limits={"max_body_bytes": len(LARGE) - 1}) as service:
        assert (await service.http.post("/main/data", content=pieces(LARGE))).status_code == 413
        assert service.data_dir.body_files() == []


async def test_one_that_comes_again_under_its_key_is_kept_once(open_service):
    async with open_service() as service:
        for is_new in (True, False):
            answer = await service.post("/main/data", LARGE, idempotency_key="k")
            assert (answer.status_code, "idempotent-replayed" in answer.headers) == (201, not is_new)
        assert (await service.post("/main/data", KEYED, idempotency_key="k")).status_code == 422
        assert (len(service.data_dir.body_files()), service.rows()) == (1, ROWS)


async def test_one_that_the_journal_refuses_leaves_nothing(open_service, monkeypatch):
    def refuse(*_):
        raise StorageError("the disk is full")

    async with open_service() as service:
        monkeypatch.setattr(service.journal, "order_append", refuse)
        assert (await service.post("/main/data", LARGE)).status_code == 507
        assert service.data_dir.body_files() == []


async def test_one_that_the_disk_refuses_makes_it_unready(open_service):
    async with open_service() as service:
        (service.data_dir.path / "bodies").rmdir()
        assert (await service.post("/main/data", LARGE)).status_code == 507
        assert (await service.http.get("/readyz")).status_code == 503


async def test_a_request_that_is_cancelled_while_it_is_committed_keeps_its_file(open_app, monkeypatch):
    """The journal carries an order out to its end."""
    async with open_app() as service:
        begun = trio.Event()

        async def halting(pending):
            pending.order.ring()
            begun.set()
            await trio.sleep_forever()

        monkeypatch.setattr(service.intake, "commit", lambda: False)
        monkeypatch.setattr(Pending, "wait_done", halting)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.post, "/main/data", LARGE)
            await begun.wait()
            await service.journal.wait_for_rows("main", ROWS)
            nursery.cancel_scope.cancel()
        [path] = service.data_dir.body_files()
        assert path.read_bytes() == LARGE


async def test_a_reference_may_be_large_too(open_service):
    async with open_service() as service:
        assert (await service.post("/main/reference", LARGE)).status_code == 201
        [(_, frame)] = service.supervisor.references
        assert (frame.rows, service.data_dir.body_files()) == (ROWS, [])
