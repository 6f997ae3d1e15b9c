"""The clients against a transport of the test's own, blocking, and async on trio and asyncio."""

import asyncio
import json
from datetime import UTC, datetime

import httpx
import pandas as pd
import pyarrow as pa
import pytest
import trio

from collector.client import AsyncCollectorClient, CollectorClient, blocking, concurrent
from collector.client import arrow as tables
from collector.client import requests as module
from collector.client.requests import RETRIES
from collector.config import CollectorConfig, ReportConfig, RowsCountTrigger
from collector.errors import ConfigError, RequestRefused, ServiceUnavailable

FRAME = pd.DataFrame({"age": [41, 37]}, index=["x", "y"])


class FakeServer:
    """Gives its answers one after the other, the last for ever; an exception among them is raised."""

    def __init__(self, *answers):
        self.answers = list(answers) or [httpx.Response(200, json={})]
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # An httpx.Response is read once.
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    def tables(self):
        return [pa.ipc.open_stream(request.content).read_all() for request in self.requests]


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Keep the pauses of the blocking client rather than make them."""
    slept = []
    monkeypatch.setattr(blocking.time, "sleep", slept.append)
    return slept


def client_of(server, base_url="http://collector", **arguments):
    client = CollectorClient(base_url, **arguments)
    client._connection = lambda: httpx.Client(transport=httpx.MockTransport(server))  # noqa: SLF001
    return client


def answer(status=200, content=None, **headers):
    return httpx.Response(status, json={} if content is None else content, headers=headers)


def run_on_trio(server, call, **arguments):
    async def work():
        async with AsyncCollectorClient("http://collector", **arguments) as client:
            client._connection = lambda: httpx.AsyncClient(transport=httpx.MockTransport(server))  # noqa: SLF001
            return await call(client)

    return trio.run(work)


def run_on_asyncio(server, call, **arguments):
    async def work():
        async with AsyncCollectorClient("http://collector", **arguments) as client:
            client._connection = lambda: httpx.AsyncClient(transport=httpx.MockTransport(server))  # noqa: SLF001
            return await call(client)

    return asyncio.run(work())


def run_blocking(server, call, **arguments):
    with client_of(server, **arguments) as client:
        return call(client)


EVERY_CLIENT = pytest.mark.parametrize("run", [run_blocking, run_on_trio, run_on_asyncio])


# What is sent


@EVERY_CLIENT
@pytest.mark.parametrize(
    ("call", "method", "path", "kind"),
    [
        (lambda c: c.create_collector("a/b", {"x": 1}), "POST", "/a%2Fb", dict),
        (lambda c: c.send_data("main", FRAME), "POST", "/main/data", dict),
        (lambda c: c.send_labels("main", FRAME), "POST", "/main/labels", dict),
        (
            lambda c: c.send_batch("main", FRAME, datetime(2026, 3, 1, tzinfo=UTC), "2026-03-02"),
            "POST",
            "/main/batches?start=2026-03-01T00%3A00%3A00%2B00%3A00&end=2026-03-02",
            dict,
        ),
        (lambda c: c.set_reference("main", FRAME), "POST", "/main/reference", dict),
        (lambda c: c.get_collector("main"), "GET", "/main", dict),
        (lambda c: c.get_logs("main"), "GET", "/main/logs", list),
        (lambda c: c.get_failed("main"), "GET", "/main/failed", list),
        (lambda c: c.retry_failed("main"), "POST", "/main/failed", list),
        (lambda c: c.delete_collector("main"), "DELETE", "/main", dict),
        (lambda c: c.rename_collector("main", "new"), "POST", "/main/rename", dict),
        (lambda c: c.tap("main"), "GET", "/main/tap?rows=10", dict),
        (lambda c: c.tap("main", 7, 5), "GET", "/main/tap?rows=5&after=7", dict),
        (lambda c: c.flush("main"), "POST", "/main/flush", dict),
        (lambda c: c.show_dashboard("main"), "POST", "/main/dashboard", dict),
        (lambda c: c.status(), "GET", "/", dict),
    ],
)
def test_each_method_has_its_route(run, call, method, path, kind):
    server = FakeServer(answer(200, kind()))
    assert run(server, call) == kind()
    (request,) = server.requests
    assert (request.method, request.url.raw_path.decode()) == (method, path)


@EVERY_CLIENT
def test_the_secret_goes_with_each_request(run):
    server = FakeServer()
    run(server, lambda c: c.get_collector("main"), secret="s3cret")
    assert server.requests[0].headers["evidently-secret"] == "s3cret"


def test_without_a_secret_none_is_sent():
    server = FakeServer()
    run_blocking(server, lambda c: c.get_collector("main"))
    assert "evidently-secret" not in server.requests[0].headers


def test_an_address_may_stand_in_brackets():
    """As RFC 3986 and the docs of the original write it."""
    server = FakeServer()
    with client_of(server, base_url=" <http://localhost:8001/> ") as client:
        client.flush("main")
    assert server.requests[0].url == "http://localhost:8001/main/flush"


@EVERY_CLIENT
def test_rows_go_as_arrow_without_their_index(run):
    server = FakeServer()
    run(server, lambda c: c.send_data("main", FRAME))
    assert server.requests[0].headers["content-type"] == "application/vnd.apache.arrow.stream"
    assert server.tables()[0].to_pydict() == {"age": [41, 37]}


@EVERY_CLIENT
def test_a_body_goes_as_it_is_and_whether_it_was_new_comes_back(run):
    server = FakeServer(answer(201), answer(201, **{"Idempotent-Replayed": "true"}))
    for is_new in (True, False):
        assert run(server, lambda c: c.send_body("main", b"a\n1\n", "text/csv", "k")) == is_new
    sent = {(one.content, one.headers["content-type"], one.headers["idempotency-key"]) for one in server.requests}
    assert sent == {(b"a\n1\n", "text/csv", "k")}


def test_what_a_lost_answer_of_the_same_call_has_kept_is_new():
    server = FakeServer(httpx.ReadError("lost"), answer(201, **{"Idempotent-Replayed": "true"}))
    assert run_blocking(server, lambda c: c.send_body("main", b"a\n1\n", "text/csv", "k"))


def test_a_body_that_is_refused_raises():
    with pytest.raises(RequestRefused, match="no table"):
        run_blocking(
            FakeServer(answer(400, {"detail": "no table"})), lambda c: c.send_body("main", b"", "text/csv", "k")
        )


def test_a_config_may_be_an_object_of_ours_or_a_dict():
    config = CollectorConfig(
        trigger=RowsCountTrigger(rows_count=5), report_config=ReportConfig(metrics=["X"]), project_name="p"
    )

    class Original:
        def dict(self):
            return {"as": "pydantic 1 has it"}

    server = FakeServer()
    with client_of(server) as client:
        for sent in (config, {"plain": 1}, Original()):
            client.create_collector("main", sent)
    bodies = [json.loads(request.content) for request in server.requests]
    assert bodies == [config.model_dump(), {"plain": 1}, {"as": "pydantic 1 has it"}]


def test_creating_waits_as_long_as_evidently_takes_to_load():
    server = FakeServer()
    with client_of(server, timeout=3) as client:
        client.create_collector("main", {})
        client.get_collector("main")
    assert [request.extensions["timeout"]["read"] for request in server.requests] == [module.CREATE_TIMEOUT, 3]


@EVERY_CLIENT
def test_a_large_frame_goes_in_several_requests_and_in_order(run, monkeypatch):
    monkeypatch.setattr(tables, "MAX_REQUEST_BYTES", 80)  # ten 64-bit integers
    server = FakeServer()
    run(server, lambda c: c.send_data("main", pd.DataFrame({"n": range(25)})))
    assert [table.num_rows for table in server.tables()] == [10, 10, 5]
    assert [n for table in server.tables() for n in table["n"].to_pylist()] == list(range(25))
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 3


def test_an_empty_frame_is_one_request():
    server = FakeServer()
    run_blocking(server, lambda c: c.send_data("main", FRAME[:0]))
    assert [table.num_rows for table in server.tables()] == [0]


def test_an_arrow_table_goes_as_it_is():
    table = pa.table({"when": pa.array([1], pa.timestamp("ms", "Europe/Berlin"))})
    server = FakeServer()
    run_blocking(server, lambda c: c.send_data("main", table))
    assert server.tables()[0].schema == table.schema


def test_a_column_of_mixed_types_goes_as_text():
    server = FakeServer()
    mixed = pd.DataFrame({"m": pd.Series([1, "a", None, True, {"k": [1]}], dtype=object)})
    run_blocking(server, lambda c: c.send_data("main", mixed))
    assert server.tables()[0]["m"].to_pylist() == ["1", "a", None, "true", '{"k": [1]}']


def test_duplicate_columns_are_refused_before_anything_is_sent():
    server = FakeServer()
    with pytest.raises(ValueError, match="the column 'a' is there twice"):
        run_blocking(server, lambda c: c.send_data("main", pd.DataFrame([[1, 2]], columns=["a", "a"])))
    assert server.requests == []


def test_columns_whose_names_are_one_as_text_are_refused():
    with pytest.raises(ValueError, match="'1' is there twice"):
        run_blocking(FakeServer(), lambda c: c.send_data("main", pd.DataFrame([[1, 2]], columns=[1, "1"])))


@pytest.mark.parametrize("values", [[2**70, 1], [1j, 2j]])
def test_values_that_arrow_has_no_type_for_go_as_text(values):
    server = FakeServer()
    run_blocking(server, lambda c: c.send_data("main", pd.DataFrame({"n": pd.Series(values)})))
    assert pa.types.is_string(server.tables()[0].schema.field("n").type)


# What is answered


@EVERY_CLIENT
def test_a_refusal_says_why(run):
    server = FakeServer(answer(400, {"detail": "the body is empty"}))
    with pytest.raises(RequestRefused, match="400: the body is empty") as caught:
        run(server, lambda c: c.send_data("main", FRAME))
    assert (caught.value.status, len(server.requests)) == (400, 1)


def test_a_proxys_page_is_quoted():
    with pytest.raises(RequestRefused, match="403: <html>"):
        run_blocking(FakeServer(httpx.Response(403, text="<html>Forbidden")), lambda c: c.get_collector("main"))


@EVERY_CLIENT
@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("refused"), httpx.ReadTimeout("timed out"), answer(503), answer(429), answer(502)]
)
def test_trouble_that_passes_is_sat_out_with_the_same_key(run, trouble, monkeypatch):
    """The answer may have been lost, so the service must see that it is the same request."""
    monkeypatch.setattr(module.random, "uniform", lambda _low, _high: 0.0)
    server = FakeServer(trouble, trouble, answer(201))
    assert run(server, lambda c: c.send_data("main", FRAME)) == {}
    assert len(server.requests) == 3
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert len({request.content for request in server.requests}) == 1


def test_pauses_double_and_are_shortened_by_up_to_a_half(pauses, monkeypatch):
    monkeypatch.setattr(module.random, "uniform", lambda _low, high: high)
    with pytest.raises(ServiceUnavailable):
        run_blocking(FakeServer(answer(503)), lambda c: c.get_collector("main"))
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2])
    assert len(pauses) == RETRIES


def test_the_pause_that_the_service_asks_for_is_made(pauses):
    run_blocking(FakeServer(answer(429, **{"Retry-After": "9"}), answer()), lambda c: c.get_collector("main"))
    assert pauses == [9]


def test_no_pause_is_longer_than_a_bound_whatever_is_asked_for(pauses):
    run_blocking(FakeServer(answer(429, **{"Retry-After": "9" * 400}), answer()), lambda c: c.get_collector("main"))
    assert pauses == [module.LONGEST_PAUSE]


def test_retries_end_with_the_last_answer():
    server = FakeServer(answer(503, {"detail": "the service is stopping"}, **{"Retry-After": "5"}))
    with pytest.raises(ServiceUnavailable, match="answered 503: the service is stopping") as caught:
        run_blocking(server, lambda c: c.get_collector("main"), retries=2)
    assert (len(server.requests), caught.value.retry_after) == (3, 5)


def test_a_service_that_is_not_there_is_named():
    with pytest.raises(ServiceUnavailable, match="http://collector can't be reached: refused") as caught:
        run_blocking(FakeServer(httpx.ConnectError("refused")), lambda c: c.get_collector("main"), retries=0)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_a_delete_whose_answer_was_lost_succeeds():
    server = FakeServer(httpx.ReadTimeout("timed out"), answer(404, {"detail": "not found"}))
    run_blocking(server, lambda c: c.delete_collector("main"))


def test_a_file_that_holds_no_authority_is_a_bad_config(tmp_path):
    (tmp_path / "ca.pem").write_text("hello", encoding="utf-8")
    for name in ("ca.pem", "gone.pem"):
        with pytest.raises(ConfigError, match=name):
            CollectorClient(verify=str(tmp_path / name))


# What isn't answered as it should be


@EVERY_CLIENT
@pytest.mark.parametrize(
    ("answered", "says"),
    [
        (httpx.Response(200, text="<html>Log in first"), "answered 200, but not as a collector does"),
        (httpx.Response(201, text=""), "answered 201, but not as a collector does"),
        (httpx.Response(200, text="7"), "answered 200, but not as a collector does"),
        (httpx.Response(200, text="[" * 200_000 + "]" * 200_000), "answered 200, but not as a collector does"),
        (httpx.Response(200, text="1" * 5_000), "answered 200, but not as a collector does"),
        (
            answer(301, Location="https://collector/"),
            "redirects to https://collector/; give the address that answers itself",
        ),
        (httpx.Response(520, text="<title>520: origin error</title>"), "answered 520: 520: origin error"),
        (answer(408, {"detail": "the body came too slowly"}), "answered 408: the body came too slowly"),
    ],
    ids=["a page", "nothing", "no object", "nested deep", "a long number", "elsewhere", "a proxy's", "too slow"],
)
def test_what_no_collector_answers_has_kept_nothing_and_is_asked_again(run, answered, says):
    """A page of a proxy's that says 200 isn't a service that has the events."""
    server = FakeServer(answered)
    with pytest.raises(ServiceUnavailable, match=says):
        run(server, lambda c: c.send_data("main", FRAME), retries=1)
    assert len(server.requests) == 2


@EVERY_CLIENT
def test_an_answer_without_end_is_left_at_a_bound(run, monkeypatch):
    monkeypatch.setattr(blocking, "MAX_ANSWER_BYTES", 1_000)
    monkeypatch.setattr(concurrent, "MAX_ANSWER_BYTES", 1_000)
    with pytest.raises(ServiceUnavailable, match=r"http://collector: its answer is longer than 1,000 bytes"):
        run(FakeServer(httpx.Response(200, content=b"[" + b" " * 10_000)), lambda c: c.get_logs("main"), retries=0)


def test_an_answer_of_another_kind_is_no_collectors():
    with pytest.raises(ServiceUnavailable, match="not as a collector does"):
        run_blocking(FakeServer(answer(200, [])), lambda c: c.status())


def test_a_proxys_page_is_told_by_its_title():
    page = "<html><head><title>413 Request Entity\n Too Large</title></head><body>nginx</body></html>"
    with pytest.raises(RequestRefused, match=r"^413: 413 Request Entity Too Large$"):
        run_blocking(FakeServer(httpx.Response(413, text=page)), lambda c: c.flush("main"))


def test_what_could_not_be_reached_names_no_password():
    with pytest.raises(ServiceUnavailable, match=r"^http://h:1 can't be reached: refused$"):
        run_blocking(
            FakeServer(httpx.ConnectError("refused")), lambda c: c.status(), base_url="http://me:pass@h:1", retries=0
        )


@EVERY_CLIENT
def test_what_is_too_large_for_the_way_goes_in_halves_and_the_next_as_large_as_what_passed(run):
    class Proxy(FakeServer):
        def __call__(self, request):
            response = super().__call__(request)
            return httpx.Response(413, stream=httpx.ByteStream(b"")) if len(request.content) > 3_000 else response

    async def send_twice(client):
        for _ in range(2):
            await client.send_data("main", pd.DataFrame({"n": range(1000)}))

    def send_both(client):
        if isinstance(client, AsyncCollectorClient):
            return send_twice(client)
        return [client.send_data("main", pd.DataFrame({"n": range(1000)})) for _ in range(2)]

    server = Proxy()
    run(server, send_both)
    passed = [request for request in server.requests if len(request.content) <= 3_000]
    numbers = [n for request in passed for n in pa.ipc.open_stream(request.content).read_all()["n"].to_pylist()]
    assert numbers == [*range(1000)] * 2
    assert len({request.headers["idempotency-key"] for request in passed}) == len(passed)
    assert len(server.requests) - len(passed) <= 4


def test_new_columns_that_were_too_many_are_told():
    detail = {"detail": "too many columns", "new_columns": ["a", "b"]}
    with pytest.raises(RequestRefused) as caught:
        run_blocking(FakeServer(answer(400, detail)), lambda c: c.send_data("main", FRAME))
    assert caught.value.new_columns == ("a", "b")
