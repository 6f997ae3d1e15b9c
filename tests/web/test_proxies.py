"""Proxies as curl takes them from the environment."""

import pytest

from collector.errors import BadEnvironment
from collector.web import proxies
from collector.web.proxies import proxy_for

PROXY = "http://proxy:3128"
URL = "http://workspace.example:8000/api"


def spares(no_proxy, url=URL):
    return proxy_for(url, {"all_proxy": PROXY, "no_proxy": no_proxy}) is None


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"http_proxy": PROXY}, PROXY),
        ({"HTTP_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, None),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"http_proxy": PROXY, "all_proxy": "http://other:1"}, PROXY),
        ({"http_proxy": PROXY, "HTTP_PROXY": "http://other:1"}, PROXY),
        ({"http_proxy": "", "HTTP_PROXY": PROXY}, PROXY),
        ({"http_proxy": "proxy:3128"}, PROXY),
        ({"http_proxy": "http://user:pass@proxy:3128/"}, "http://user:pass@proxy:3128"),
        ({"http_proxy": "proxy"}, "http://proxy:1080"),
        ({"http_proxy": "https://proxy"}, "https://proxy:443"),
    ],
)
def test_the_variable_for_a_scheme_comes_before_the_one_for_all(environment, proxy):
    found = proxy_for(URL, environment)
    assert (found and found.url) == proxy
    assert found is None or environment[found.variable]


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("*", URL),
        ("example", URL),
        (".example", URL),
        ("other, workspace.example.", URL),
        ("other workspace.example", URL),
        ("WORKSPACE.EXAMPLE", "http://Workspace.Example./"),
        ("workspace.example:8000", URL),
        ("workspace.example:80", "http://workspace.example"),
        ("workspace.example:443", "https://workspace.example"),
        ("10.0.0.0/8", "http://10.1.2.3"),
        ("10.1.2.3", "http://10.1.2.3:99"),
        ("10.1.2.3/8", "http://10.9.9.9"),
        ("10.0.0.0/8", "http://[::ffff:10.1.2.3]"),
        ("fd00::/8", "http://[fd00::7]:80"),
        ("[fd00::7]", "http://[fd00::7]"),
        ("[fd00::]/8", "http://[fd00::7]"),
        ("[fd00::7]:80", "http://[fd00::7]:80"),
        ("fe80::1", "http://[fe80::1%25eth0]"),
    ],
)
def test_no_proxy_names_hosts_domains_addresses_and_networks(no_proxy, url):
    assert spares(no_proxy, url)


@pytest.mark.parametrize(
    ("no_proxy", "url"),
    [
        ("", URL),
        ("ample", URL),
        ("workspace.example.org", URL),
        ("workspace.example:81", URL),
        ("workspace.example:443", "http://workspace.example"),
        ("10.0.0.0/8", "http://11.0.0.1"),
        ("10.0.0.0/99", "http://10.0.0.1"),
        ("::1/128,[::1],[::1", URL),
        (",./,:,[],", URL),
    ],
)
def test_no_proxy_spares_nothing_else(no_proxy, url):
    assert not spares(no_proxy, url)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST.", "ui.localhost", "127.0.0.1", "127.9.9.9", "127.1", "[::1]", "[::ffff:127.0.0.1]"),
        *("0.0.0.0", "[::]"),
    ],
)
def test_this_very_machine_is_asked_without_a_proxy(host):
    """Not even by one that can't be used."""
    assert proxy_for(f"http://{host}:8000", {"ALL_PROXY": "socks://nonsense"}) is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("socks://127.0.0.1:1/", "ALL_PROXY names a 'socks' proxy"),
        ("socks4://127.0.0.1:1", "ALL_PROXY names a 'socks4' proxy"),
        ("socks5://127.0.0.1:1", r"ALL_PROXY names a socks5 proxy.* pip install 'evidently-collector\[socks\]'"),
        ("http://", "ALL_PROXY isn't the address"),
        ("http://secret@:1", "ALL_PROXY isn't the address"),
        ("http://secret@proxy:port", "ALL_PROXY isn't the address"),
        ("http://[::1", "ALL_PROXY isn't the address"),
        ("http://proxy:0", "ALL_PROXY isn't the address"),
        ("http://a..b:3128", "ALL_PROXY isn't the address"),
        (f"http://{'a' * 70}.example", "ALL_PROXY isn't the address"),
        ("http://the proxy:3128", "ALL_PROXY isn't the address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_with_its_variable(value, says, monkeypatch):
    monkeypatch.setattr(proxies, "find_spec", lambda _: None)
    with pytest.raises(BadEnvironment, match=says) as caught:
        proxy_for(URL, {"ALL_PROXY": value})
    assert "secret" not in str(caught.value)


def test_a_socks_proxy_is_used_where_the_extra_is_there(monkeypatch):
    monkeypatch.setattr(proxies, "find_spec", lambda _: object())
    assert proxy_for(URL, {"ALL_PROXY": "socks5h://proxy"}) == ("socks5h://proxy:1080", "ALL_PROXY")


@pytest.mark.parametrize("url", ["http://workspace.example:99999", "http://[::1", "http://workspace.example:port"])
def test_what_is_no_address_is_left_to_who_asks_it(url):
    assert proxy_for(url, {"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.1:80,other"}) is None
