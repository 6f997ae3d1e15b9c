"""What model servers log becomes events, each pair one, whatever the order, and is answered 200 once it is durable."""

import gzip
import json
from contextlib import closing

import pytest
import trio
from fakes import collector_config

from collector.formats.frames import decode_frames
from collector.store.connect import read_only

from .logged import INSTANCES, PREDICTIONS, REQUEST, RESPONSE, kserve_headers, recorded, seldon_headers

LABELS = {"key": "request_id", "columns": ["y"], "report_config": {"metrics": ["RowCount"]}}


class Sender:
    """A model server that logs to a service, and what becomes of that."""

    def __init__(self, service):
        self.service = service

    def configure(self, collector_id="main", kserve=None, **others):
        config = collector_config(collector_id, input={"kserve": kserve or {}}, **others)
        self.service.supervisor.config = self.service.supervisor.config.with_collector(config)
        return self

    async def log(self, headers, body, path="/main/data"):
        return await self.service.http.post(path, content=body, headers=headers)

    async def pair(self, request=INSTANCES, response=PREDICTIONS, id_="one"):
        """Log both halves, and return the status of each."""
        first = await self.log(kserve_headers(REQUEST, id_), request)
        second = await self.log(kserve_headers(RESPONSE, id_), response)
        return first.status_code, second.status_code

    def events(self, stream="main"):
        """Return the rows that wait, as they would be read for a report."""
        frames = self.ask("SELECT format, body FROM frame WHERE collector = ? ORDER BY seq", stream)
        return decode_frames(frames).to_pylist() if frames else []

    def ask(self, query, *values):
        """Ask the journal, from beside."""
        with closing(read_only(self.service.data_dir.journal)) as db:
            return db.execute(query, values).fetchall()

    @property
    def counted(self):
        return {name: count for name, count in self.service.supervisor.counts.of("main").logged.items() if count}


@pytest.fixture
async def sender(open_app):
    async with open_app() as service:
        yield Sender(service).configure()


async def test_the_front_door_leaves_it_to_the_app(open_front_door):
    async with open_front_door() as service:
        sender = Sender(service).configure()
        assert await sender.pair() == (200, 200)
        assert len(sender.events()) == 1
        assert (await sender.log({"Content-Type": "application/json"}, b'{"a": 1}')).status_code == 201


async def test_a_request_and_its_response_are_one_event(sender):
    assert await sender.pair() == (200, 200)
    assert sender.events() == [{"request_id": "one", "feature-0": 6.8, "feature-1": 2.8, "prediction": 1}]
    assert sender.counted == {"waiting": 1, "kept": 1}
    assert sender.service.journal.halves.waiting("main") == 0
    assert sender.service.journal.buffered_bytes("main") == sender.service.journal.waiting("main").frame_bytes > 0


async def test_a_response_may_come_first(sender):
    assert (await sender.log(kserve_headers(RESPONSE), PREDICTIONS)).status_code == 200
    assert sender.events() == []
    assert sender.service.journal.buffered_bytes("main") > 0
    assert (await sender.log(kserve_headers(REQUEST), INSTANCES)).status_code == 200
    assert [row["prediction"] for row in sender.events()] == [1]


async def test_both_halves_may_come_at_once_and_many_times(sender):
    """Every pair is one event, though twenty connections send each half three times."""
    halves = [
        (kserve_headers(type_, str(number)), body)
        for number in range(20)
        for type_, body in ((REQUEST, INSTANCES), (RESPONSE, PREDICTIONS))
    ]
    statuses = []

    async def send(headers, body):
        statuses.append((await sender.log(headers, body)).status_code)

    async with trio.open_nursery() as nursery:
        for headers, body in halves * 3:
            nursery.start_soon(send, headers, body)
    assert statuses == [200] * 120
    assert sorted(row["request_id"] for row in sender.events()) == sorted(map(str, range(20)))
    assert sender.counted == {"waiting": 20, "kept": 20, "repeated": 80}


async def test_what_came_before_is_dropped_though_its_pair_is_complete(sender):
    for _ in range(2):
        assert await sender.pair() == (200, 200)
    assert len(sender.events()) == 1
    assert sender.counted == {"waiting": 1, "kept": 1, "repeated": 2}


async def test_a_plain_table_is_taken_beside_it(sender):
    assert (await sender.log({"Content-Type": "application/json"}, b'{"a": 1}')).status_code == 201
    assert sender.events() == [{"a": 1}]


@pytest.mark.parametrize(
    ("pair", "event"),
    [
        ("request", {"request_id": "one", "feature-0": 6.8, "feature-1": 2.8}),
        ("response", {"request_id": "one", "prediction": 1}),
    ],
)
async def test_one_of_the_two_may_be_the_event_and_the_other_is_left_out(sender, pair, event):
    sender.configure(kserve={"pair": pair})
    assert await sender.pair() == (200, 200)
    assert sender.events() == [event]
    assert sender.counted == {"kept": 1, "left_out": 1}


async def test_the_events_time_is_in_the_column_that_the_config_names(sender):
    sender.configure(timestamp_column="at")
    await sender.pair()
    [event] = sender.events()
    assert event["at"] == "2026-03-01T12:00:00.123456789Z"


@pytest.mark.parametrize("how", ["magic", "encoding"])
async def test_a_compressed_payload_is_known_by_its_first_bytes_too(sender, how):
    """KServe's logger sends on what the model server answered, and not that it is compressed."""
    more = {"Content-Encoding": "gzip"} if how == "encoding" else {}
    await sender.log(kserve_headers(REQUEST, **more), gzip.compress(INSTANCES))
    await sender.log(kserve_headers(RESPONSE, **more), gzip.compress(PREDICTIONS))
    assert len(sender.events()) == 1


async def test_a_bomb_is_refused_before_it_goes_off(open_app):
    async with open_app(limits={"max_body_bytes": 100_000}) as service:
        sender = Sender(service).configure()
        answer = await sender.log(kserve_headers(), gzip.compress(b" " * 10**7))
        assert answer.status_code == 413


def structured(type_, data, id_="one", **others):
    return {"specversion": "1.0", "id": id_, "type": type_, "source": "x", "data": data} | others


async def test_events_may_come_in_json_one_or_several_at_a_time(sender):
    one = structured(REQUEST, json.loads(INSTANCES))
    answer = await sender.log({"Content-Type": "application/cloudevents+json"}, json.dumps(one).encode())
    assert answer.status_code == 200
    others = [
        structured(RESPONSE, PREDICTIONS.decode()),
        structured(REQUEST, json.loads(INSTANCES), "two"),
        structured(RESPONSE, None, "two", data_base64="eyJwcmVkaWN0aW9ucyI6IFswXX0="),
    ]
    headers = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
    assert (await sender.log(headers, json.dumps(others).encode())).status_code == 200
    assert {row["request_id"]: row["prediction"] for row in sender.events()} == {"one": 1, "two": 0}


async def test_a_batch_is_kept_whole_or_not_at_all(sender):
    """Its second response doesn't fit its request, so nothing of it is kept."""
    await sender.log(kserve_headers(REQUEST, "two"), INSTANCES)
    batch = [
        structured(REQUEST, json.loads(INSTANCES)),
        structured(RESPONSE, json.loads(PREDICTIONS)),
        structured(RESPONSE, {"predictions": [1, 2]}, "two"),
    ]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = await sender.log(headers, json.dumps(batch).encode())
    assert (answer.status_code, sender.events()) == (400, [])
    assert sender.service.journal.halves.waiting("main") == 1
    assert (await sender.log(headers, json.dumps(batch[:2]).encode())).status_code == 200
    assert len(sender.events()) == 1


async def test_of_a_batch_is_told_which_event_can_not_be_read(sender):
    batch = [structured(REQUEST, json.loads(INSTANCES)), structured(RESPONSE, {"predictions": {}})]
    answer = await sender.log({"Content-Type": "application/cloudevents-batch+json"}, json.dumps(batch).encode())
    assert (answer.status_code, sender.counted) == (400, {})
    assert answer.json()["detail"].startswith("event 1 of the batch: 'predictions' isn't a list")


async def test_a_response_that_does_not_fit_is_refused_and_its_request_waits_for_one_that_does(sender):
    await sender.log(kserve_headers(REQUEST), INSTANCES)
    answer = await sender.log(kserve_headers(RESPONSE), b'{"predictions": [1, 2]}')
    assert "the response has 2 rows, and its request has 1" in answer.json()["detail"]
    assert (await sender.log(kserve_headers(RESPONSE), PREDICTIONS)).status_code == 200
    assert len(sender.events()) == 1


async def test_names_that_both_have_are_refused_with_what_to_configure(sender):
    body = b'{"%s": [{"name": "x", "shape": [1], "datatype": "INT64", "data": [1]}]}'
    await sender.log(kserve_headers(REQUEST), body % b"inputs")
    answer = await sender.log(kserve_headers(RESPONSE), body % b"outputs")
    assert answer.status_code == 400
    assert "'x'" in answer.json()["detail"]
    assert "input.kserve.prediction" in answer.json()["detail"]


async def test_halves_that_would_be_an_event_nobody_can_read_are_refused(sender):
    """Together their columns are those of a CloudEvent, which are no table."""
    await sender.log(kserve_headers(REQUEST), b'{"instances": [{"specversion": 1, "type": 2}]}')
    answer = await sender.log(kserve_headers(RESPONSE), b'{"predictions": [{"source": 3}]}')
    assert (answer.status_code, "CloudEvent" in answer.json()["detail"]) == (400, True)


async def test_seldons_halves_are_found_by_the_request_and_the_model(sender):
    """Each of its messages has an id of its own, and each model of a graph logs the request."""
    names = ["age", "income"]
    for model in ("first", "second"):
        request = json.dumps({"data": {"names": names, "ndarray": [[41, 1.5]]}}).encode()
        response = json.dumps({"data": {"names": ["score"], "tensor": {"shape": [1, 1], "values": [0.5]}}}).encode()
        await sender.log(seldon_headers("inference.response", f"b-{model}", "one", model), response)
        await sender.log(seldon_headers("inference.request", f"a-{model}", "one", model), request)
    assert sender.events() == [{"request_id": "one", "age": 41, "income": 1.5, "score": 0.5}] * 2


@pytest.mark.parametrize("kind", ["feedback", "inference.feedback"])
async def test_seldons_feedback_becomes_labels(sender, kind):
    sender.configure(labels=LABELS)
    body = json.dumps({"truth": {"data": {"ndarray": [1]}}, "reward": 0.5}).encode()
    for _ in range(2):
        assert (await sender.log(seldon_headers(kind, "message", "one"), body)).status_code == 200
    assert sender.events("main/labels") == [{"request_id": "one", "y": 1}]
    assert sender.service.journal.waiting("main/labels").frame_rows == 1
    assert sender.service.journal.waiting("main").rows == 0
    assert sender.counted == {"label": 1, "repeated": 1}


@pytest.mark.parametrize(
    ("labels", "body", "status", "told"),
    [
        (None, b'{"truth": {"data": {"ndarray": [1]}}}', 409, '"labels"'),
        (LABELS | {"key": "id"}, b'{"truth": {"data": {"ndarray": [1]}}}', 400, "set it to 'request_id'"),
        (LABELS, b'{"reward": 1}', 400, "it needs one"),
        (LABELS, b'{"truth": {"data": {"ndarray": [1, 2]}}}', 400, "has 2 rows"),
        (LABELS, b"[]", 400, "it needs one"),
    ],
    ids=["no labels", "other key", "no truth", "two rows", "a list"],
)
async def test_feedback_that_is_no_label_says_why(sender, labels, body, status, told):
    sender.configure(labels=labels)
    answer = await sender.log(seldon_headers("feedback", "message", "one"), body)
    assert (answer.status_code, told in answer.json()["detail"]) == (status, True)


async def test_rewards_are_labels_where_the_config_has_such_a_column(sender):
    sender.configure(labels=LABELS | {"columns": ["y", "reward"]})
    await sender.log(seldon_headers("feedback", "message", "one"), b'{"reward": 0.5}')
    assert sender.events("main/labels") == [{"request_id": "one", "reward": 0.5}]


async def test_private_columns_are_dropped_and_hashed_before_a_half_is_kept(sender):
    sender.configure(columns={"drop": ["feature-1"], "hash": {"request_id": "salt"}})
    await sender.log(kserve_headers(REQUEST, "mrs-smith"), INSTANCES)
    [half] = sender.ask("SELECT names, pair, body FROM half")
    assert b"mrs-smith" not in half[2] + half[1]
    assert half[0] == '["request_id", "feature-0"]'
    await sender.log(kserve_headers(RESPONSE, "mrs-smith"), PREDICTIONS)
    [event] = sender.events()
    assert event.pop("request_id").startswith("hmac:")
    assert event == {"feature-0": 6.8, "prediction": 1}


async def test_followers_get_the_events_of_pairs_and_no_halves(sender):
    config = collector_config("daily", events_from="main")
    sender.service.supervisor.config = sender.service.supervisor.config.with_collector(config)
    await sender.log(kserve_headers(REQUEST), INSTANCES)
    assert sender.service.journal.buffered_bytes("daily") == 0
    await sender.log(kserve_headers(RESPONSE), PREDICTIONS)
    assert sender.events("daily") == sender.events("main") != []


async def test_halves_count_as_events_where_too_many_wait(open_app):
    async with open_app(limits={"max_collector_bytes": 10}) as service:
        sender = Sender(service).configure()
        assert (await sender.log(kserve_headers(REQUEST), INSTANCES)).status_code == 200
        answer = await sender.log(kserve_headers(REQUEST, "two"), INSTANCES)
        assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)


async def test_a_body_that_takes_long_to_read_is_read_aside(sender):
    rows = 5_000
    request = json.dumps({"instances": [[0.25, number] for number in range(rows)]}).encode()
    response = json.dumps({"predictions": list(range(rows))}).encode()
    assert await sender.pair(request, response) == (200, 200)
    assert sender.service.rows() == rows


async def test_what_was_logged_by_real_servers_becomes_their_rows(sender):
    """KServe's and MLServer's own, as record.py recorded them."""
    iris = [{"x-0": 6.8, "x-1": 2.8, "x-2": 4.8, "x-3": 1.4}, {"x-0": 6.0, "x-1": 3.4, "x-2": 4.5, "x-3": 1.6}]
    scores = [{"score": 15.8, "label": 16}, {"score": 15.5, "label": 16}]
    aged = [{**row, "age": age} for row, age in zip(iris, (41, 37), strict=True)]
    aged_scores = [{"score": 56.8, "label": 57}, {"score": 52.5, "label": 53}]
    expected = {
        "kserve v1": [
            {f"feature-{number}": value for number, value in enumerate(row.values())} | {"prediction": 16}
            for row in iris
        ],
        "kserve v2": [row | score for row, score in zip(iris, scores, strict=True)],
        "kserve v2 of two inputs": [row | score for row, score in zip(aged, aged_scores, strict=True)],
        "kserve v2 binary": [row | score for row, score in zip(aged, aged_scores, strict=True)],
        "mlserver v2 of pandas": [
            {"age": 41, "plan": "pro", "income": 1.5, "churned": True, "why": "pro!", "p": 0.41},
            {"age": 37, "plan": "téam", "income": None, "churned": False, "why": "téam!", "p": 0.37},
        ],
    }
    names = []
    for name, (request, request_length), (response, response_length) in recorded():
        for type_, body, length in ((REQUEST, request, request_length), (RESPONSE, response, response_length)):
            more = {} if length is None else {"Inference-Header-Content-Length": str(length)}
            answer = await sender.log(kserve_headers(type_, name, **more), body)
            assert answer.status_code == 200, (name, answer.text)
        names.append(name)
    assert names == list(expected)
    events = sender.events()
    for name in names:
        own = [rounded(row, expected[name][0]) for row in events if row["request_id"] == name]
        assert own == expected[name], name


def rounded(row, names):
    """Return what a row has under these names; an FP32 comes with the digits of its 24 bits."""
    return {name: round(row[name], 5) if isinstance(row[name], float) else row[name] for name in names}


async def test_binary_tensors_are_found_by_the_header_that_kserves_logger_can_tell(sender):
    """It is listed in metadataHeaders; CloudEvents' SDK for Go writes JSON in a header with its quotes encoded."""
    [(request, length)] = [request for name, request, _ in recorded() if name == "kserve v2 binary"]
    metadata = f"{{%22Inference-Header-Content-Length%22:[%22{length}%22]}}"
    headers = {"Ce-Metadata": metadata, "Content-Type": "application/octet-stream"}
    sender.configure(kserve={"pair": "request"})
    assert (await sender.log(kserve_headers(REQUEST, **headers), request)).status_code == 200
    assert [row["age"] for row in sender.events()] == [41, 37]
    answer = await sender.log(kserve_headers(REQUEST, "two"), request)
    assert answer.status_code == 400
    assert "Inference-Header-Content-Length" in answer.json()["detail"]
