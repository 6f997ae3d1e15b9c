import pytest

from collector.config import CollectorServiceConfig
from collector.config.callers import hostname, is_ip_address
from collector.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "kept"),
    [("https://Dash.example/", "https://dash.example"), ("http://localhost:3000", "http://localhost:3000")],
)
def test_an_origin_is_kept_as_browsers_send_it(given, kept):
    assert CollectorServiceConfig.parse({"allowed_origins": [given]}).allowed_origins == (kept,)


@pytest.mark.parametrize("given", ["*", "null", "dash.example", "https://dash.example/path", "https://*.example", ""])
def test_what_is_no_origin_is_told_what_one_is(given):
    with pytest.raises(ConfigError, match=r"allowed_origins.0.*write each as scheme://host"):
        CollectorServiceConfig.parse({"allowed_origins": [given]})


@pytest.mark.parametrize("given", ["collector", "collector.example", "Collector.example.", "proxy:9000"])
def test_a_host_is_a_name_with_or_without_a_port(given):
    [kept] = CollectorServiceConfig.parse({"allowed_hosts": [given]}).allowed_hosts
    assert kept == given.lower().removesuffix(".")


@pytest.mark.parametrize("given", ["http://collector", "a/b", "*", "a b", ""])
def test_what_is_no_host_is_told_what_one_is(given):
    with pytest.raises(ConfigError, match=r"allowed_hosts.0.*isn't a host name"):
        CollectorServiceConfig.parse({"allowed_hosts": [given]})


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.example:80", "a.example"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("a.", "a"), ("127.0.0.1:1", "127.0.0.1")],
)
def test_a_name_is_read_out_of_a_host(host, name):
    assert hostname(host) == name


@pytest.mark.parametrize("host", ["localhost:evil", "localhost:80:80", "[::1]evil", "[::1", "::1]", "[::1]:x", "."])
def test_what_is_no_host_has_no_name_that_is_let_in(host):
    """It was cut at its first colon or bracket; of a dot nothing was left, and quart failed by it."""
    assert hostname(host) == host


def test_an_address_is_one():
    assert all(is_ip_address(name) for name in ("127.0.0.1", "::1"))
    assert not any(is_ip_address(name) for name in ("127.0.0.1.example", "localhost"))
