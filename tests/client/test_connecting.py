"""How a service is reached: what can't be used is told in one sentence when a client is made."""

import ssl

import pytest
from fakes import running_service

from collector.client import AsyncCollectorClient, CollectorClient
from collector.client.connecting import checked_url, secret_header, way_to
from collector.errors import BadEnvironment, ConfigError, ServiceUnavailable


@pytest.mark.parametrize("client", [CollectorClient, AsyncCollectorClient])
@pytest.mark.parametrize(
    "url",
    [
        "http://a..b",
        "http://.a",
        f"http://{'a' * 64}.example",
        "http://ä..b",
        "http://h:99999",
        "http://h:0",
        "http://h:port",
        "http://[::1",
        "http://h?x=1",
        "localhost:8001",
        "h",
        "",
        "ftp://h",
        "http://",
        "http://a\nb",
        "http://\ud800",
    ],
)
def test_what_is_no_address_is_told_when_a_client_is_made(client, url):
    with pytest.raises(ConfigError, match=r"isn't (an|the) address") as caught:
        client(url)
    assert "\n" not in str(caught.value)


def test_a_wrong_address_is_told_without_its_password():
    with pytest.raises(ConfigError) as caught:
        CollectorClient("http://me:pass@a..b")
    assert "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:8001", "https://h.example/collector", "http://[::1]:80", "http://a_b"]
)
def test_an_address_may_end_in_a_slash(url):
    assert checked_url(f"{url}/") == url


@pytest.mark.parametrize("secret", ["ä", "s3cret\n", " s3cret", "a\x00b"])
def test_a_secret_that_no_header_carries_is_told(secret):
    """As one that was read from a file with its line's end."""
    with pytest.raises(ConfigError, match="the secret can't be sent"):
        CollectorClient(secret=secret)


def test_a_secret_goes_as_it_is():
    assert secret_header("s3 cret!") == {"evidently-secret": "s3 cret!"}
    assert secret_header(None) == {}


def test_certificates_that_are_missing_are_told_by_their_variable_where_they_are_needed(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    CollectorClient("http://h").close()
    with pytest.raises(BadEnvironment, match="SSL_CERT_FILE"):
        CollectorClient("https://h")


def test_a_context_and_no_trust_at_all_are_taken_as_they_are():
    context = ssl.create_default_context()
    assert way_to("https://h", context).options["verify"] is context
    assert way_to("https://h", verify=False).options["verify"] is False


@pytest.mark.parametrize("value", ["socks://127.0.0.1:1", "ftp://proxy", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(monkeypatch, value):
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(BadEnvironment, match="ALL_PROXY"):
        CollectorClient("http://service.example")
    CollectorClient("http://localhost:8001").close()  # none is used there


def test_requests_go_by_the_proxy_of_the_environment_but_for_loopback(monkeypatch):
    with running_service() as proxy, running_service() as service:
        monkeypatch.setenv("http_proxy", proxy.url)
        with CollectorClient("http://service.example") as client:
            assert client.get_collector("a") == {"path": "http://service.example/a"}
        with CollectorClient(service.url) as client:
            assert client.get_collector("a") == {"path": "/a"}


def test_a_proxy_that_is_not_there_is_told_by_its_variable(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # the port of "discard"
    with (
        CollectorClient("http://service.example", retries=0) as client,
        pytest.raises(ServiceUnavailable, match="can't be reached by the proxy that http_proxy names: "),
    ):
        client.status()
