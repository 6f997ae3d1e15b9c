import pytest

from collector.store.records import Batch
from collector.views.history import History
from collector.views.page.detail import Detail, detail_pieces, detail_view
from collector.views.page.overview import make_frame

from ..statuses import NOON, collector, service
from .pasts import past, value_of

HOSTILE = "<img src=x onerror=alert(1)>"
ENTRY = {
    "type": "CreateReport",
    "ok": True,
    "error": "",
    "time": "2026-03-02T11:46:00.000+00:00",
    "rows": 5,
    "notes": [],
}


def show(status, pasts=(), log=(), failed=()):
    frame = make_frame("1", service(status), {status.id: pasts}, History(), None)
    return detail_view(frame, status, detail_pieces(Detail(status, tuple(pasts), tuple(log), tuple(failed))))


def test_its_snapshots_are_listed_and_plotted():
    pasts = [past(at, drift=[("age", 0.5), ("plan", 0.0)], tests=2, values=[value_of(at / 10)]) for at in range(9)]
    view = show(collector(), pasts)
    assert view.pieces["snapshots"].count("<tr ") == 9
    assert view.pieces["snapshots"].count("age 0.5 &gt; 0.1") == 9
    assert [name in view.pieces["plots"] for name in ("drift share", "failed tests", "Accuracy", "rows")] == [True] * 4


def test_one_that_has_none_says_what_the_first_waits_for():
    view = show(collector(rows_needed=500))
    assert "The first is made of 500 rows." in view.pieces["snapshots"]
    assert "hidden" in view.pieces["plots"].partition(">")[0]
    assert "hidden" in view.pieces["failed"].partition(">")[0]


def test_failed_batches_are_listed_with_their_errors():
    batch = Batch("0190", "main", "failed", 400, NOON - 60, NOON, 3, {}, "ValueError: bad")
    piece = show(collector(failed=1), failed=[batch]).pieces["failed"]
    assert all(words in piece for words in ("Retry 1 batch", "400 rows", "tried 3 times", "ValueError: bad"))


def test_the_log_says_what_became_of_each_batch():
    refused = ENTRY | {"type": "UploadReport", "ok": False, "error": "Error saving snapshot: refused"}
    piece = show(collector(), log=[refused, ENTRY | {"notes": ["a note"], "seconds": 1.5}]).pieces["log"]
    assert all(words in piece for words in ("02 Mar 11:46:00", "Error saving snapshot: refused", "in 1.5 s", "a note"))


def test_nothing_that_others_wrote_is_markup():
    batch = Batch("0190", HOSTILE, "failed", 400, NOON - 60, NOON, 3, {}, HOSTILE)
    entry = ENTRY | {"ok": False, "error": HOSTILE, "notes": [HOSTILE], "type": HOSTILE}
    pasts = [
        past(at, drift=[(HOSTILE, 0.5)], tests=1, failed=[HOSTILE], values=[value_of(1, HOSTILE)]) for at in (1, 2)
    ]
    view = show(collector(HOSTILE, last_error=HOSTILE), pasts, [entry], [batch])
    html = "".join(view.whole(piece) for piece in view.pieces)
    assert "<img" not in html
    assert html.count("&lt;img") > 10


def test_it_says_what_is_compared_with_of_how_many_rows_and_since_when():
    made = {"from": "the previous 7 batches", "rows": 700, "since": NOON - 120}
    assert "the previous 7 batches: 700 rows, made 2m ago" in show(collector(reference=made)).pieces["state"]
    lacking = {"from": "the first 500 rows", "rows": 20, "needs": 500}
    said = "none yet: it is made of the first 500 rows, and 20 of 500 rows are there"
    assert said in show(collector(reference=lacking)).pieces["state"]
    assert "<dt>compared with</dt>" not in show(collector()).pieces["state"]


def test_it_says_how_many_rows_have_their_labels_when_the_next_batch_closes_and_what_became_of_labels():
    labels = {
        "waiting_batches": 2,
        "waiting_rows": 50,
        "labelled_rows": 40,
        "next_close": NOON + 3600.0,
        "bytes": 900,
        "rows": {"used": 7, "late": 1, "unmatched": 0},
    }
    said = "40 of 50 rows in 2 batches have one, the next batch closes in 1h; used 7; late 1"
    assert said in show(collector(labels=labels)).pieces["state"]
    assert "<dt>labels</dt>" not in show(collector()).pieces["state"]


def test_it_says_how_many_events_were_made_of_what_was_logged_and_how_many_halves_wait():
    logged = {"halves": 2, "kept": 5, "waiting": 7, "expired": 0}
    said = "5 events made; 2 requests or responses wait for their other half"
    assert f"<dd>{said}</dd>" in show(collector(logged=logged)).pieces["state"]
    assert f"<dd>{said}; 3 expired</dd>" in show(collector(logged=logged | {"expired": 3})).pieces["state"]
    assert "<dt>logged</dt>" not in show(collector()).pieces["state"]


@pytest.mark.parametrize(
    ("state", "kafka", "said"),
    [
        ("waiting", {"lag": 12, "owner": ""}, "<dd>12 messages not read yet</dd>"),
        ("standby", {"lag": None, "owner": "http://b:8001"}, "<dd>at work at http://b:8001</dd>"),
        ("waiting", {"lag": 1, "owner": "", "gateway": "t"}, "1 message not read yet; what is posted goes to topic t<"),
        ("standby", {"lag": None, "owner": ""}, "<dd>at work at another service of the group</dd>"),
    ],
)
def test_it_says_where_a_collector_is_whose_events_come_from_kafka_and_how_far_it_has_read(state, kafka, said):
    assert said in show(collector(state=state, kafka=kafka | {"mismatch": ""})).pieces["state"]
    assert "<dt>Kafka</dt>" not in show(collector()).pieces["state"]
