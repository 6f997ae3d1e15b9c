"""Which heads are usual; that the answers to both kinds are alike is shown in test_front_door.py."""

import pytest

from collector.ingest.http.posted import read_posted

HEAD = b"POST /main/data HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n%b\r\n"


def posted(more=b""):
    return read_posted(HEAD % more)


def test_a_head_is_read_whatever_its_case():
    posted = read_posted(b"POST /main/data HTTP/1.1\r\nHOST: x\r\ncontent-LENGTH:  3 \r\nEvidently-Secret: s\r\n\r\n1")
    assert (posted.collector_id, posted.length, posted.secret, posted.is_last) == ("main", 3, "s", False)


@pytest.mark.parametrize(
    ("version", "options", "is_last", "is_kept"),
    [
        (b"1.1", b"", False, False),
        (b"1.1", b"keep-alive", False, False),
        (b"1.1", b"close", True, False),
        (b"1.1", b"keep-alive, Close", True, False),
        (b"1.1", b"Upgrade, HTTP2-Settings", False, False),
        (b"1.0", b"", True, False),
        (b"1.0", b"Keep-Alive", False, True),
        (b"1.0", b"keep-alive, close", True, False),
    ],
)
def test_a_connection_ends_where_its_version_and_its_client_say(version, options, is_last, is_kept):
    found = read_posted((HEAD % (b"Connection: %b\r\n" % options if options else b"")).replace(b"1.1", version))
    assert (found.is_last, found.is_kept) == (is_last, is_kept)


@pytest.mark.parametrize(
    "more",
    [b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"TE: trailers\r\n", b"Trailer: X\r\n", b"Sec-Fetch-Mode: cors\r\n"],
)
def test_what_may_be_ignored_is(more):
    assert posted(more).length == 3


@pytest.mark.parametrize(
    "more",
    [b"Origin: null\r\n", b"Sec-Fetch-Site: none\r\n", b"Connection: x-hop\r\n", b"Transfer-Encoding: chunked\r\n"],
)
def test_what_another_must_judge_is_not_usual(more):
    assert posted(more) is None


def test_a_client_of_http_1_0_holds_no_body_back():
    """RFC 9110, 10.1.1: it wouldn't know what to do with 100."""
    assert posted(b"Expect: 100-continue\r\n").is_expecting
    assert not read_posted((HEAD % b"Expect: 100-continue\r\n").replace(b"1.1", b"1.0")).is_expecting


@pytest.mark.parametrize(
    ("host", "is_plain"),
    [(b"localhost:8001", True), (b"127.0.0.1", True), (b"[::1]:80", True), (b"collector:8001", False)],
)
def test_a_host_that_no_page_can_have_is_known_with_the_head(host, is_plain):
    assert read_posted((HEAD % b"").replace(b"localhost", host)).is_plain_host is is_plain
