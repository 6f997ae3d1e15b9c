"""What goes wrong between a command and its service."""

import httpx
import pytest

from collector.client import CollectorClient
from collector.commands.remote import Service, choose_collector
from collector.errors import CommandError, ConfigError, RequestRefused, ServiceUnavailable


def fail(error, url="http://collector:8001"):
    with Service(url).open() as client:
        assert isinstance(client, CollectorClient)
        raise error


@pytest.mark.parametrize(
    "url", ["localhost:8001", "collector", "ftp://collector", "http://", "http://host:port", "http://a..b"]
)
def test_what_is_no_address_is_said_without_asking_there(url):
    with pytest.raises(CommandError, match=r"isn't (an|the) address") as caught, Service(url).open():
        pass
    assert caught.value.hint == "write it as --url http://HOST:PORT"


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (RequestRefused(401, "Unauthorized"), "Unauthorized", "--secret-file"),
        (RequestRefused(404, "no such"), "no such", "status"),
        (RequestRefused(500, ""), "the service answered 500", ""),
        (ServiceUnavailable("busy"), "busy", "try again in a while"),
        (ServiceUnavailable("[SSL: CERTIFICATE_VERIFY_FAILED]"), "CERTIFICATE", "--cafile"),
    ],
)
def test_each_error_comes_with_what_to_do(error, says, hint):
    with pytest.raises(CommandError) as caught:
        fail(error)
    assert says in str(caught.value)
    assert hint in caught.value.hint


def test_a_service_that_is_not_there_is_to_be_started():
    error = ServiceUnavailable("can't be reached")
    error.__cause__ = httpx.ConnectError("refused")
    with pytest.raises(CommandError) as caught:
        fail(error)
    assert caught.value.hint.startswith("start the service with 'evidently-collector'")


def test_the_secret_and_the_authority_are_the_clients(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "collector.commands.remote.CollectorClient",
        lambda *args, **options: made.append((args, options)) or CollectorClient(),
    )
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    with Service("https://collector", None, tmp_path / "secret", "ca.pem").open(7):
        pass
    assert made == [(("https://collector", "s3cret"), {"retries": 7, "verify": "ca.pem"})]


def test_an_empty_secret_is_a_bad_config():
    with pytest.raises(ConfigError, match="the secret is empty"), Service("http://collector", "").open():
        pass


def status_of(*ids, retired=()):
    states = dict.fromkeys(ids, "waiting") | dict.fromkeys(retired, "retired")
    return {"collectors": [{"id": one, "state": state} for one, state in states.items()]}


def test_the_only_collector_at_work_needs_no_name():
    assert choose_collector(status_of("a"), None)["id"] == "a"
    assert choose_collector(status_of("a", retired=["b"]), None)["id"] == "a"
    assert choose_collector(status_of("a", "b"), "b")["id"] == "b"


@pytest.mark.parametrize(
    ("ids", "chosen", "says", "hint"),
    [
        ([], None, "no collector yet", "init"),
        (["a", "b"], None, "several", "--id: a, b"),
        (["a"], "b", "no collector 'b'", "--id: a"),
        ([f"c{number}" for number in range(12)], None, "several", "c9, and 2 more"),
    ],
)
def test_which_collectors_there_are_is_said_when_none_is_meant(ids, chosen, says, hint):
    with pytest.raises(CommandError, match=says) as caught:
        choose_collector(status_of(*ids), chosen)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "status", [{}, {"collectors": 5}, {"collectors": [{}]}, {"collectors": [{"state": "waiting"}]}]
)
def test_what_answers_but_is_no_collector_is_said(status):
    """Another service that happens to speak JSON; not a mistake of ours."""
    with pytest.raises(CommandError, match="answers, but not as a collector service does"):
        choose_collector(status, None)
