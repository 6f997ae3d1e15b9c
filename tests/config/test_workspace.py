"""Where a collector's snapshots go, and with which secret."""

from pathlib import Path

import pytest
from fakes import collector_config

from collector.config import CollectorServiceConfig
from collector.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "is_cloud", "kind"),
    [
        ("http://localhost:8000", None, "service"),
        ("HTTPS://ui.example", None, "service"),
        ("https://app.evidently.cloud", None, "cloud"),
        ("https://app.evidently.cloud/", None, "cloud"),
        ("https://app.evidently.cloud", False, "service"),
        ("http://localhost:8000", True, "cloud"),
        ("workspace", None, "directory"),
        ("/var/workspace", None, "directory"),
        ("file:///var/workspace", None, "directory"),
    ],
)
def test_the_url_tells_what_kind_of_workspace_it_is(url, is_cloud, kind):
    assert collector_config(api_url=url, is_cloud=is_cloud).workspace_kind == kind


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("workspace", "/base/workspace"),
        ("./a b", "/base/a b"),
        ("/var/workspace", "/var/workspace"),
        ("file:///var/work%20space", "/var/work space"),
        ("file:workspace", "/base/workspace"),
    ],
)
def test_a_relative_workspace_starts_at_the_configs_directory(url, path):
    assert collector_config(api_url=url).workspace_directory(Path("/base")) == Path(path)


@pytest.mark.parametrize("project", ["018f0000-0000-7000-8000-00000000000a", "018f000000007000800000000000000a"])
def test_a_project_in_a_directory_has_a_uuid_with_its_hyphens_or_without(project):
    assert collector_config(api_url="workspace", project_id=project).workspace_problems() == []
    [problem] = collector_config(api_url="workspace", project_id=project[1:]).workspace_problems()
    assert str(problem).startswith("project_id: a project in a directory has a UUID")


@pytest.mark.parametrize("url", ["ftp://host/workspace", "localhost:8000", "s3://bucket"])
def test_an_address_that_no_one_speaks_is_told(url):
    [problem] = collector_config(api_url=url).workspace_problems()
    assert str(problem).startswith(f"api_url: '{url}' isn't the address of a service")


# Secrets


@pytest.mark.parametrize("secret", ["plain", "$NAME", "${NAME} and more", "${1}", "${}"])
def test_a_secret_that_is_no_reference_is_taken_as_it_is(secret, monkeypatch):
    monkeypatch.setenv("NAME", "hunter2")
    assert collector_config(api_secret=secret).secret() == secret


def test_a_secret_is_taken_from_the_environment_and_saved_as_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSPACE_SECRET", "hunter2")
    config = CollectorServiceConfig(collectors={"main": collector_config(api_secret="${WORKSPACE_SECRET}")})
    assert config.collectors["main"].secret() == "hunter2"
    config.save(tmp_path / "saved.json")
    saved = (tmp_path / "saved.json").read_text()
    assert ('"${WORKSPACE_SECRET}"' in saved, "hunter2" in saved) == (True, False)


def test_a_secret_that_the_environment_has_not_is_told_by_name(monkeypatch):
    monkeypatch.delenv("WORKSPACE_SECRET", raising=False)
    with pytest.raises(
        ConfigError, match=r"^api_secret: the environment of the service has no variable WORKSPACE_SECRET"
    ):
        collector_config(api_secret="${WORKSPACE_SECRET}").secret()


def test_no_secret_is_none():
    assert (collector_config().secret(), collector_config().masked()["api_secret"]) == (None, None)
