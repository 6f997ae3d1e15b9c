import gzip
import json
from dataclasses import replace

import outcome
import pytest
import trio
from fakes import FakePipeline, collector_config
from machine import PATIENCE
from trio.testing import wait_all_tasks_blocked
from worlds import outcome_of

from collector.errors import (
    BadBody,
    BadMediaType,
    BodyTooLarge,
    BodyTooSlow,
    BufferFull,
    ConfigError,
    EvaluationError,
    IsFetched,
    KeyReused,
    NoLabels,
    NotReady,
    Problem,
    StorageError,
    TooManyColumns,
    WorkerDied,
)
from collector.ingest.intake import MAX_WAITING
from collector.status.counts import REFUSALS, Answered
from collector.status.verdict import verdict_of
from collector.store.records import Batch
from collector.store.writer import Order

SECRET = {"evidently-secret": "hunter2"}
ROW = b'{"a": {"0": 1}}'
ROUTES = [
    ("GET", "/"),
    ("GET", "/schema/openapi.json"),
    ("POST", "/-/reload"),
    ("GET", "/metrics"),
    ("GET", "/main"),
    ("POST", "/main"),
    ("DELETE", "/main"),
    ("POST", "/main/data"),
    ("POST", "/main/batches"),
    ("POST", "/main/reference"),
    ("POST", "/main/rename"),
    ("POST", "/main/flush"),
    ("GET", "/main/logs"),
    ("GET", "/main/tap"),
    ("GET", "/main/snapshots"),
    ("GET", "/main/failed"),
    ("POST", "/main/failed"),
    ("POST", "/main/dashboard"),
    ("GET", "/nope"),
    ("POST", "/nope/data"),
]


def _is_problem(answer, status):
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["status_code"]) == (status, status, status)
    return body["detail"]


# Routes


async def test_the_list_of_collectors_tells_how_each_stands(open_service):
    async with open_service(collectors=("a", "b")) as service:
        await service.post("/b/data", ROW)
        listed = (await service.http.get("/")).json()["collectors"]
    assert [(status["id"], status["state"], status["rows_waiting"]) for status in listed] == [
        ("a", "waiting", 0),
        ("b", "waiting", 1),
    ]


@pytest.mark.parametrize(("path", "status"), [("/livez", "live"), ("/readyz", "ready")])
async def test_health_is_told_to_anyone(open_service, path, status):
    async with open_service(secret="hunter2") as service:
        answer = await service.http.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": status})


async def test_it_is_not_ready_while_the_disk_refuses(service, monkeypatch):
    monkeypatch.setattr(type(service.journal), "trouble", "no space left on device")
    answer = await service.http.get("/readyz")
    assert _is_problem(answer, 503) == "no space left on device"


async def test_each_check_of_readiness_is_told_in_words(service):
    answer = await service.http.get("/readyz?verbose")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text.splitlines() == [
        "[+]accepting ok",
        "[+]disk ok",
        "[+]room ok",
        "[+]config ok",
        "[+]collectors ok",
        "readyz check passed",
    ]


async def test_what_makes_it_unready_is_told_among_what_is_sound(service, monkeypatch):
    monkeypatch.setattr(type(service.journal), "trouble", "no space left on device")
    service.draining.begin()
    answer = await service.http.get("/readyz?verbose")
    first, second, *_, last = answer.text.splitlines()
    assert first.startswith("[-]accepting failed: the service is stopping")
    assert second == "[-]disk failed: no space left on device"
    assert (answer.status_code, last) == (503, "readyz check failed")


async def test_what_is_wrong_with_config_and_collectors_is_told_to_who_has_the_secret(open_service):
    async with open_service(secret="hunter2", collectors=("a", "b")) as service:
        sound = service.supervisor.service_status()
        config = replace(sound.config, error="line 3: a secret word")
        collectors = (sound.collectors[0], replace(sound.collectors[1], state="misconfigured"))
        service.supervisor.service_status = lambda: replace(sound, config=config, collectors=collectors)
        stranger = await service.http.get("/readyz?verbose")
        friend = await service.http.get("/readyz?verbose", headers=SECRET)
    assert "[!]config: the last edit isn't in force: line 3: a secret word\n" in friend.text
    assert "[!]collectors: 1 of 2 in trouble: b (misconfigured)\n" in friend.text
    assert "[!]collectors: 1 of 2 in trouble: GET / says more\n" in stranger.text
    assert "secret word" not in stranger.text
    assert stranger.status_code == friend.status_code == 200


async def test_a_change_that_needs_a_restart_is_told(service):
    sound = service.supervisor.service_status()
    config = replace(sound.config, needs_restart=("data_dir",))
    service.supervisor.service_status = lambda: replace(sound, config=config)
    answer = await service.http.get("/readyz?verbose")
    assert "[!]config: a restart is needed to take in what changed: data_dir\n" in answer.text


async def test_too_much_undelivered_is_told(open_service):
    async with open_service(limits={"max_buffered_bytes": 1}) as service:
        await service.post("/main/data", ROW)
        assert "[!]room: 1 bytes are undelivered" in (await service.http.get("/readyz?verbose")).text


# Metrics


async def test_metrics_are_given_in_the_form_that_is_asked_for(service):
    answer = await service.http.get("/metrics", headers={"Accept": "text/plain"})
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (200, "text/plain", "up 1\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic hunter2"}, 401),
        ({"Authorization": "Bearer hunter2"}, 200),
        (SECRET, 200),
    ],
)
async def test_metrics_take_the_secret_as_scrapers_send_it(open_service, headers, status):
    async with open_service(secret="hunter2") as service:
        assert (await service.http.get("/metrics", headers=headers)).status_code == status


async def test_a_bearer_token_opens_metrics_alone(open_service):
    async with open_service(secret="hunter2") as service:
        assert (await service.http.get("/main", headers={"Authorization": "Bearer hunter2"})).status_code == 401


async def test_answers_are_counted_by_route_and_never_by_what_a_client_made_up(service):
    for line in ("POST /main/data", "POST /made-up/data", "GET /made/up/too", "MADEUP /main"):
        await service.http.request(*line.split(), content=ROW)
    assert service.supervisor.counts.answered == {
        Answered("/{id}/data", "POST", 201): 1,
        Answered("/{id}/data", "POST", 404): 1,
        Answered("other", "other", 404): 1,
        Answered("other", "other", 405): 1,
    }
    assert service.supervisor.counts.answer_seconds["/{id}/data"].cumulative()[-1] == 2


async def test_events_are_counted_as_accepted_or_refused_by_reason(open_service):
    async with open_service(secret="hunter2", limits={"max_body_bytes": 100}) as service:
        for path, body, headers in (
            ("/main/data", ROW, SECRET),
            ("/main/data", b"no", SECRET),
            ("/main/data", b" " * 101, SECRET),
            ("/main/data", ROW, {}),
            ("/made-up/data", ROW, SECRET),
            ("/main/reference", b"no", SECRET),
        ):
            await service.http.post(path, content=body, headers=headers)
    counts = service.supervisor.counts
    assert (counts.of("main").accepted_requests, counts.of("main").accepted_bytes) == (1, len(ROW))
    assert +counts.of("main").refused_requests == {"bad_body": 1, "body_too_large": 1, "unauthorized": 1}
    assert +counts.refused_requests == {"unknown_collector": 1}


@pytest.mark.parametrize(
    "error",
    [
        BadBody("no"),
        BadMediaType("no"),
        BodyTooLarge("no"),
        BodyTooSlow("no"),
        BufferFull("no"),
        EvaluationError("no"),
        IsFetched("main"),
        KeyReused("no"),
        NoLabels("main"),
        NotReady("no"),
        StorageError("no"),
        TooManyColumns(1, 1, ["a"]),
        WorkerDied("no"),
    ],
)
async def test_every_refusal_has_a_reason_that_is_told_from_the_start(service, monkeypatch, error):
    def refuse(*args):
        raise error

    monkeypatch.setattr(service.journal, "order_append", refuse)
    await service.post("/main/data", ROW)
    [reason] = +service.supervisor.counts.of("main").refused_requests
    assert reason in REFUSALS


async def test_a_collector_is_created_shown_replaced_and_deleted(service):
    config = collector_config().model_dump() | {"id": "other"}
    created = await service.http.post("/new", json=config)
    assert (created.status_code, created.json()) == (201, config | {"id": "new"})
    shown = await service.http.get("/new")
    assert (shown.status_code, shown.json()) == (200, created.json())
    assert (await service.http.post("/new", json=config | {"project_id": "p"})).json()["project_id"] == "p"
    await service.post("/new/data", ROW)
    deleted = await service.http.delete("/new")
    assert (deleted.status_code, deleted.json()) == (200, {"id": "new", "rows_dropped": 1})
    assert (await service.http.get("/new")).status_code == 404


async def test_a_change_may_name_the_config_that_it_means(service):
    shown = await service.http.get("/main")
    config, tag = shown.json(), shown.headers["ETag"]
    changed = json.dumps({**config, "api_url": "elsewhere"}).encode()
    assert (await service.post("/main", changed, If_Match='"other"')).status_code == 412
    assert (await service.post("/main", changed, If_None_Match="*")).status_code == 412
    taken = await service.post("/main", changed, If_Match=f'"other", {tag}')
    assert (taken.status_code, taken.headers["ETag"] != tag) == (201, True)
    refused = await service.http.delete("/main", headers={"If-Match": tag})
    assert (refused.status_code, "changed meanwhile" in refused.json()["detail"]) == (412, True)
    assert (await service.http.delete("/main", headers={"If-Match": taken.headers["ETag"]})).status_code == 200
    assert (await service.post("/main", changed, If_Match="*")).status_code == 412
    assert (await service.post("/main", changed, If_None_Match="*")).status_code == 201


async def test_a_collector_is_renamed(service):
    answer = await service.post("/main/rename", b'{"id": "new"}')
    assert (answer.status_code, answer.json()["id"], "ETag" in answer.headers) == (200, "new", True)
    assert (await service.http.get("/new")).json() == answer.json()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", 'an object with the new id is expected, as {"id": "churn-2"}'),
        (b'{"id": "a", "b": 1}', "an object with the new id is expected"),
        (b'{"id": 5}', "id: a string is expected, not a number"),
        (b'{"id": "a/b"}', "id: an id has no '/'"),
        (b'{"id": "metrics"}', "id: the id 'metrics' is taken by a route"),
    ],
)
async def test_what_is_no_new_id_is_told(service, body, said):
    answer = await service.post("/main/rename", body)
    assert said in _is_problem(answer, 400)


async def test_events_are_shown_a_few_at_a_time(service):
    begun = await service.http.get("/main/tap")
    assert (begun.status_code, begun.json()) == (200, {"rows": [], "next": 7})
    assert (await service.http.get("/main/tap?after=7&rows=1")).json()["rows"] == [{"a": 1}]
    for query, said in [
        ("after=x", "'after' must be a whole number"),
        ("rows=0", "from 1 to 1000"),
        ("rows=1001", "1000"),
    ]:
        assert said in _is_problem(await service.http.get(f"/main/tap?{query}"), 400)


async def test_a_reload_says_what_it_changed(service):
    answer = await service.http.post("/-/reload")
    assert (answer.status_code, answer.json()["changed"]) == (200, ["main"])
    service.supervisor.edit_error = ConfigError.at("must be positive", "collectors", "main", source="config.json")
    answer = await service.http.post("/-/reload")
    assert (answer.status_code, answer.json()["extra"][0]["key"]) == (400, "collectors.main")


@pytest.mark.parametrize(("method", "path"), [("POST", "/main"), ("DELETE", "/main"), ("POST", "/main/reference")])
async def test_an_edit_of_the_file_that_cannot_be_taken_comes_before_a_clients_change(service, method, path):
    """Saved, the change would undo it."""
    service.supervisor.edit_error = ConfigError.at("must be positive", "collectors", "main", source="config.json")
    body = (await service.http.get("/main")).content if path == "/main" else b'{"a": [1]}'
    answer = await service.http.request(method, path, content=body)
    assert (answer.status_code, "must be positive" in answer.json()["detail"]) == (409, True)
    service.supervisor.config = service.supervisor.config.model_copy(update={"autosave": False})
    assert (await service.http.request(method, path, content=body)).is_success


async def test_data_is_kept_when_the_answer_comes(service):
    answer = await service.post("/main/data", ROW)
    assert (answer.status_code, answer.json(), service.rows()) == (201, {}, 1)


async def test_a_reference_is_taken_as_a_frame(service):
    answer = await service.post("/main/reference", b"a\n1\n2\n", content_type="text/csv")
    assert (answer.status_code, answer.json()) == (201, {})
    [(collector_id, frame)] = service.supervisor.references
    assert (collector_id, frame.format, frame.rows, service.rows()) == ("main", "csv", 2, 0)


async def test_a_flush_seals_what_waits(service):
    await service.post("/main/data", ROW)
    answer = await service.post("/main/flush")
    [batch] = await service.journal.batches("main", "sealed")
    assert (answer.status_code, answer.json()) == (202, {"batch_id": batch.id, "rows": 1})
    empty = await service.post("/main/flush")
    assert (empty.status_code, empty.json()) == (200, {"batch_id": None, "rows": 0})


WINDOW = "/main/batches?start=2024-03-01&end=2024-03-02"


@pytest.mark.parametrize("body", [b"a\n1\n2\n", b"a\n" + b"1" * 300 * 1024 + b"\n2\n"])
async def test_a_body_with_a_window_is_a_batch_of_its_own_however_often_it_comes(service, body):
    """Also one that is too large for the journal, and one that comes compressed."""
    headers = {"content_type": "text/csv"}
    await service.post("/main/data", ROW)
    first = await service.post(WINDOW, body, **headers)
    again = await service.post(WINDOW, gzip.compress(body), content_encoding="gzip", **headers)
    other = await service.post(WINDOW.replace("03-02", "03-03"), body, **headers)
    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 201]
    assert first.json() == again.json()
    assert first.json()["rows"] == 2
    assert first.json()["window"] == ["2024-03-01T00:00:00.000+00:00", "2024-03-02T00:00:00.000+00:00"]
    batches = await service.journal.batches("main", "sealed")
    assert [batch.id for batch in batches] == [answer.json()["batch_id"] for answer in (first, other)]
    assert service.rows() == 1
    assert len(service.data_dir.body_files()) == (1 if len(body) > 1024 else 0)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/main/batches", ROW, "'start' is missing"),
        (WINDOW, b"", "the body is empty"),
        (WINDOW, b"{}", "the body has no rows, and a batch has at least one"),
        (WINDOW, b"nonsense", "JSON"),
    ],
)
async def test_what_can_be_no_whole_batch_is_refused_and_counted(service, path, body, told):
    answer = await service.post(path, body)
    assert (answer.status_code, told in answer.json()["detail"]) == (400, True)
    assert service.supervisor.counts.of("main").refused_requests["bad_body"] == 1
    assert await service.journal.batches("main", "sealed") == []


async def test_no_more_batches_come_whole_while_many_wait_for_their_reports(service, monkeypatch):
    monkeypatch.setattr(FakePipeline, "sealed", MAX_WAITING)
    answer = await service.post(WINDOW, ROW)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert "100 batches wait for their reports" in answer.json()["detail"]


async def test_a_dashboard_is_made_when_somebody_asks(service):
    answer = await service.post("/main/dashboard")
    assert (answer.status_code, answer.json()) == (200, {"id": "main", "panels": 7})


async def test_what_came_of_batches_is_told_newest_first_and_cut_where_it_is_asked(service):
    outcome = outcome_of([1, 2])
    for id_ in ("b1", "b2"):
        batch = Batch(id_, "main", "sealed", 2, 0.0, 1.0)
        await service.journal.keep_outcome(batch, outcome, verdict_of(outcome), 9)
    await service.journal.keep_failure(Batch("b3", "main", "sealed", 1, 0.0, 1.0), 9, error="no column 'b'")
    failed, second, first = (await service.http.get("/main/snapshots")).json()
    assert (failed["state"], failed["error"], failed["batch_id"]) == ("failed", "no column 'b'", "b3")
    assert {name: second[name] for name in ("batch_id", "report", "segment", "state", "rows", "delivered")} == {
        "batch_id": "b2",
        "report": "main",
        "segment": "",
        "state": "evaluated",
        "rows": 2,
        "delivered": None,
    }
    assert (first["findings"], first["drifted_columns"]) == (outcome["findings"], 1)
    assert (await service.http.get("/main/snapshots?limit=2")).json() == [failed, second]


async def test_what_came_of_the_report_of_labels_is_told_by_itself(service):
    outcome = outcome_of([1, 2])
    for id_, report in (("b1", "main"), ("l1", "labels")):
        batch = Batch(id_, "main", "sealed", 2, 0.0, 1.0, report=report)
        await service.journal.keep_outcome(batch, outcome, verdict_of(outcome), 9)
    for query, ids in (("", ["b1"]), ("?report=main", ["b1"]), ("?report=labels", ["l1"])):
        assert [one["batch_id"] for one in (await service.http.get(f"/main/snapshots{query}")).json()] == ids
    refused = await service.http.get("/main/snapshots?report=Label")
    assert (refused.status_code, refused.json()["detail"]) == (400, "'report' must be one of main, labels, not 'Label'")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "²", "9" * 5000])
async def test_a_limit_that_is_none_is_refused(service, limit):
    answer = await service.http.get("/main/snapshots", params={"limit": limit})
    assert (answer.status_code, answer.json()["detail"]) == (400, "'limit' must be a whole number from 1 to 1000")


async def test_logs_are_newest_first(service):
    for number in range(2):
        await service.journal.log("main", {"number": number}, 10)
    answer = await service.http.get("/main/logs")
    assert (answer.status_code, answer.json()) == (200, [{"number": 1}, {"number": 0}])


async def test_failed_batches_are_listed_and_evaluated_again_when_asked(service):
    await service.post("/main/data", ROW)
    await service.post("/main/flush")
    [batch] = await service.journal.batches("main", "sealed")
    await service.journal.mark(batch, "failed", attempts=2, error="no column 'b'")
    told = [{"batch_id": batch.id, "rows": 1, "error": "no column 'b'", "attempts": 2}]
    listed, retried = await service.http.get("/main/failed"), await service.post("/main/failed")
    assert (listed.status_code, listed.json(), retried.status_code, retried.json()) == (200, told, 202, told)
    assert (await service.http.get("/main/failed")).json() == []
    assert [again.id for again in await service.journal.batches("main", "sealed")] == [batch.id]


# Refusals


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nope"),
        ("DELETE", "/nope"),
        ("POST", "/nope/data"),
        ("POST", "/nope/reference"),
        ("POST", "/nope/flush"),
        ("GET", "/nope/logs"),
        ("GET", "/nope/snapshots"),
        ("GET", "/nope/failed"),
        ("POST", "/nope/failed"),
        ("POST", "/nope/dashboard"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"{bad", ROW])
async def test_an_unknown_collector_is_told_before_anything_about_the_body(service, method, path, body):
    answer = await service.http.request(method, path, content=body)
    assert _is_problem(answer, 404) == "Collector config with id 'nope' not found"


@pytest.mark.parametrize("path", ["/main/nope", "/main/data/more", "/schema/nope"])
async def test_an_unknown_route_is_not_found(service, path):
    assert _is_problem(await service.http.get(path), 404) == "Not Found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/main", {"GET", "POST", "DELETE", "OPTIONS"}),
        ("GET", "/main/data", {"POST", "OPTIONS"}),
        ("POST", "/main/logs", {"GET", "OPTIONS"}),
    ],
)
async def test_a_wrong_method_is_told_with_the_right_ones(service, method, path, allowed):
    answer = await service.http.request(method, path)
    assert _is_problem(answer, 405) == "Method Not Allowed"
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/", "/main", "/main/logs", "/nope"])
async def test_head_is_no_method_here(open_service, path):
    async with open_service(secret="hunter2") as service:
        answer = await service.http.head(path)
    assert (answer.status_code, answer.content) == (405, b"")


async def test_options_tells_the_methods_to_who_has_the_secret(open_service):
    async with open_service(secret="hunter2") as service:
        answer = await service.http.options("/main/data", headers=SECRET)
        assert (await service.http.options("/main/data")).status_code == 401
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (204, b"", "OPTIONS, POST")
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("path", ["//main//logs", "/main/logs/", "/main/logs//"])
async def test_slashes_too_many_are_no_redirect(service, path):
    answer = await service.http.get(service.http.base_url.copy_with(path=path))
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("headers", [{}, {"evidently-secret": "wrong"}, {"evidently-secret": ""}])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_the_secret_nothing_is_told(open_service, method, path, headers):
    async with open_service(secret="hunter2") as service:
        answer = await service.http.request(method, path, headers=headers, content=ROW)
    assert _is_problem(answer, 401) == "Unauthorized"


async def test_the_secret_is_asked_for_before_the_body(open_app):
    """Before its length is looked at, and though it never comes."""

    async def halting():
        await trio.sleep_forever()
        yield b""

    async with open_app(secret="hunter2", limits={"max_body_bytes": 1}) as service:
        assert (await service.http.post("/main/data", content=ROW)).status_code == 401
        assert (await service.http.post("/main/data", content=ROW, headers=SECRET)).status_code == 413
        with trio.fail_after(PATIENCE):
            assert (await service.http.post("/main/data", content=halting())).status_code == 401


@pytest.mark.parametrize("secret", ["hunter2", "пароль"])
async def test_the_secret_opens_whatever_its_characters(open_service, secret):
    """A header's bytes are what the client sent, which is UTF-8 wherever curl runs."""
    async with open_service(secret=secret) as service:
        answer = await service.http.get("/main", headers={b"EVIDENTLY-SECRET": secret.encode()})
    assert answer.status_code == 200


async def test_a_stopping_service_refuses_with_a_hint_when_to_come_again(service):
    service.draining.begin()
    for method, path in (*ROUTES, ("GET", "/readyz")):
        answer = await service.http.request(method, path, content=ROW)
        assert "stopping" in _is_problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
    assert ((await service.http.get("/livez")).status_code, service.rows()) == (200, 0)


async def test_a_request_in_flight_is_answered_and_waited_for(service, nursery):
    async def body():
        await service.draining.wait_for_request()
        service.draining.begin()
        nursery.start_soon(service.draining.wait_idle)
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        yield ROW

    assert (await service.http.post("/main/data", content=body())).status_code == 201
    assert service.rows() == 1


async def test_a_disk_that_refuses_is_told_as_worth_asking_again(service, monkeypatch):
    refusal = StorageError("the journal can't be written: database or disk is full; nothing of the request was kept")
    refused = Order(None, None, 0, trio.Event(), lambda: None, result=outcome.Error(refusal))
    refused.done.set()
    monkeypatch.setattr(service.journal, "order_append", lambda *_: refused)
    answer = await service.post("/main/data", ROW)
    assert "disk is full" in _is_problem(answer, 507)
    assert int(answer.headers["retry-after"]) > 0


async def test_our_own_mistakes_are_problems_too_and_tell_nothing(service, monkeypatch):
    def fail(*args):
        raise RuntimeError("inner matters")

    monkeypatch.setattr(service.journal, "order_append", fail)
    assert "inner" not in _is_problem(await service.post("/main/data", ROW), 500)


async def test_a_config_that_evidently_does_not_take_is_refused_and_not_taken(open_service):
    problem = Problem(("report_config", "metrics", 0), "unknown metric 'Nope'; did you mean 'None'?")
    async with open_service(find_problems=lambda _: [problem]) as service:
        answer = await service.http.post("/new", json=collector_config().model_dump())
        assert (await service.http.get("/new")).status_code == 404
    assert _is_problem(answer, 400).startswith("Validation failed for POST /new: report_config.metrics.0: unknown")
    assert answer.json()["extra"] == [{"message": problem.message, "key": "report_config.metrics.0"}]


# Pages of other sites

PAGE = {"Origin": "https://dash.example", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
EVERY_ROUTE = [*ROUTES, ("GET", "/livez"), ("GET", "/readyz"), ("OPTIONS", "/main"), ("HEAD", "/main"), ("PUT", "/x/y")]


async def test_a_page_of_another_site_is_refused_on_every_route(service):
    before = service.supervisor.config
    for method, path in EVERY_ROUTE:
        answer = await service.http.request(method, path, content=ROW, headers=PAGE | {"Content-Type": "text/plain"})
        assert (path, answer.status_code) == (path, 403)
        assert "allowed_origins" in answer.text or method == "HEAD"
        assert "access-control-allow-origin" not in answer.headers
    assert (service.rows(), service.supervisor.references, service.supervisor.config) == (0, [], before)
    assert service.supervisor.counts.of("main").refused_requests["forbidden"] == 2


async def test_a_page_that_is_allowed_may_ask_and_read_what_is_answered(open_service):
    async with open_service(allowed_origins=["https://dash.example"]) as service:
        preflight = await service.http.options(
            "/main/data",
            headers=PAGE | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"},
        )
        kept = await service.http.post("/main/data", content=ROW, headers=PAGE)
        refused = await service.http.get("/nobody", headers=PAGE)
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "evidently-secret" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-private-network"] == "true"
    assert (kept.status_code, refused.status_code) == (201, 404)
    for answer in (preflight, kept, refused):
        assert answer.headers["access-control-allow-origin"] == "https://dash.example"
        assert answer.headers["vary"] == "Origin"


async def test_a_page_that_is_allowed_needs_the_secret_but_for_asking_whether_it_may(open_service):
    async with open_service(secret="hunter2", allowed_origins=["https://dash.example"]) as service:
        preflight = await service.http.options("/main", headers=PAGE | {"Access-Control-Request-Method": "GET"})
        without = await service.http.get("/main", headers=PAGE)
        with_it = await service.http.get("/main", headers=PAGE | SECRET)
    assert [answer.status_code for answer in (preflight, without, with_it)] == [204, 401, 200]
    assert without.headers["access-control-allow-origin"] == "https://dash.example"


async def test_an_edit_of_the_config_allows_a_page_at_once(service):
    config = service.supervisor.config
    service.supervisor.config = config.model_copy(update={"allowed_origins": ("https://dash.example",)})
    assert (await service.http.get("/main", headers=PAGE)).status_code == 200
    service.supervisor.config = config
    assert (await service.http.get("/main", headers=PAGE)).status_code == 403


async def test_a_link_from_another_site_can_be_followed(service):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await service.http.get("/main", headers=followed)).status_code == 200
    assert (await service.http.post("/main/flush", headers=followed)).status_code == 403


@pytest.mark.parametrize(("media_type", "status"), [("application/json; charset=utf-8", 201), ("text/plain", 415)])
async def test_a_page_declares_the_config_that_it_posts_as_json(open_service, media_type, status):
    """What any page may send without a preflight is text/plain."""
    config = collector_config().model_dump_json()
    async with open_service(allowed_origins=["https://dash.example"]) as service:
        answer = await service.http.post("/new", content=config, headers=PAGE | {"Content-Type": media_type})
        assert answer.status_code == status
        no_page = await service.http.post("/new", content=config, headers={"Content-Type": media_type})
        assert no_page.status_code == 201


async def test_a_name_that_may_be_anyones_is_answered_nothing_but_health(service):
    """A page may have its own name lead to this machine (DNS rebinding), and would then be no other site's."""
    for method, path in EVERY_ROUTE:
        answer = await service.http.request(method, path, content=ROW, headers={"Host": "evil.example:8001"})
        is_health = path in {"/livez", "/readyz"}
        assert (path, answer.status_code) == (path, 200 if is_health else 403)
    assert service.rows() == 0
