"""Interim answers before the one that counts."""

import httpcore
import pytest

from collector.web.interim import MAX_INTERIM, Interim

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def interim():
    return Interim()


def look_in_pieces(interim, sent, size):
    for at in range(0, len(sent), size):
        interim.look(sent[at : at + size])


@pytest.mark.parametrize("size", [1, 7, 1_000, 10**6])
def test_too_many_are_an_error_however_they_come_in(interim, size):
    with pytest.raises(httpcore.RemoteProtocolError, match="more than 100 interim answers"):
        look_in_pieces(interim, CONTINUE * (MAX_INTERIM + 1), size)


def test_those_with_headers_and_bare_lines_count_as_well(interim):
    with pytest.raises(httpcore.RemoteProtocolError):
        interim.look(b"HTTP/1.1 103 Early Hints\nLink: x\n\n" * (MAX_INTERIM + 1))


@pytest.mark.parametrize("size", [1, 1_000])
def test_what_follows_an_answer_that_counts_is_not_looked_at(interim, size):
    look_in_pieces(interim, CONTINUE * MAX_INTERIM + OK + CONTINUE * 1_000, size)


def test_each_request_may_have_as_many(interim):
    for _ in range(3):
        interim.begin()
        interim.look(CONTINUE * MAX_INTERIM + OK)
