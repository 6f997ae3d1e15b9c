"""Where a collector's snapshots go: what ``api_url`` leads to, which project there, and with which secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from collector.config.environment import filled, is_from_environment
from collector.config.masking import MASK
from collector.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

CLOUD_URL = "https://app.evidently.cloud"

_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/|$)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")


def is_uuid(project: str) -> bool:
    """Tell whether a project is named by an id: workspaces give them UUIDs."""
    return _UUID.fullmatch(project) is not None


class InWorkspace:
    """What the fields of a collector's config say of its workspace."""

    if TYPE_CHECKING:  # CollectorConfig declares them, in the order in which they are written
        api_url: str
        api_secret: str | None
        is_cloud: bool | None
        project_id: str | None

    @property
    def workspace_kind(self) -> Literal["cloud", "service", "directory"]:
        """Tell what ``api_url`` leads to."""
        is_cloud = self.api_url.rstrip("/") == CLOUD_URL if self.is_cloud is None else self.is_cloud
        if is_cloud:
            return "cloud"
        is_path = urlsplit(self.api_url).scheme in {"", "file"} and not _HOST_AND_PORT.match(self.api_url)
        return "directory" if is_path else "service"

    def workspace_problems(self) -> list[Problem]:
        """Return what is wrong with ``api_url`` or the project, as far as can be told without asking there."""
        if self.workspace_kind != "directory":
            if urlsplit(self.api_url).scheme in {"http", "https"}:
                return []
            told = f"'{self.shown_url}' isn't the address of a service; write it as http://HOST:PORT"
            return [Problem(("api_url",), told)]
        if self.project_id is None or is_uuid(self.project_id):
            return []
        told = f"a project in a directory has a UUID, and '{self.project_id}' isn't one; give one, or a project_name"
        return [Problem(("project_id",), told)]

    @property
    def takes_datasets(self) -> bool:
        """Whether a batch's rows can go there beside its snapshot."""
        return self.workspace_kind == "cloud"

    @property
    def pages_url(self) -> str:
        """Where its pages are; "" for a directory, which has none."""
        return "" if self.workspace_kind == "directory" else self.shown_url

    def workspace_directory(self, base: Path) -> Path | None:
        """Return the path of a directory workspace, None for a service; a relative one starts at ``base``."""
        if self.workspace_kind != "directory":
            return None
        parts = urlsplit(self.api_url)
        if parts.scheme != "file":
            return base / self.api_url
        from urllib.request import url2pathname  # its module imports a whole HTTP client, which few need at the start

        return base / url2pathname(parts.path)

    def secret(self) -> str | None:
        """Return the workspace's secret, from the environment if it says so; raise ConfigError if it isn't there."""
        secret = self.api_secret
        if secret is not None and is_from_environment(secret):
            secret = filled(secret, "api_secret")
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise ConfigError.at("has characters that an HTTP header can't have; write one line of ASCII", "api_secret")
        return secret

    @property
    def shown_url(self) -> str:
        """``api_url`` without the password that may stand in it."""
        password = urlsplit(self.api_url).password if "@" in self.api_url else None
        return self.api_url if not password else self.api_url.replace(f":{password}@", f":{MASK}@", 1)
