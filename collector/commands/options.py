"""Options that several commands share, each declared once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from collector.errors import ConfigError

ENV = "EVIDENTLY_COLLECTOR_"

_service_option = partial(typer.Option, show_envvar=False, rich_help_panel="The service")

CollectorId = Annotated[str, typer.Argument(metavar="ID", help="The collector's id.")]
OneCollector = Annotated[
    str | None, typer.Argument(metavar="ID", help="The collector's id; may be left out if there is only one.")
]
Url = Annotated[str, _service_option(envvar=ENV + "URL", help="Where the service runs.")]
Secret = Annotated[str | None, _service_option(envvar=ENV + "SECRET", help="The service's secret.")]
SecretFile = Annotated[
    Path | None, _service_option(envvar=ENV + "SECRET_FILE", help="A file that holds the secret, and nothing else.")
]
CaFile = Annotated[
    str | None, _service_option(envvar=ENV + "CAFILE", help="The authority that vouches for the service, in PEM.")
]
DEFAULT_URL = "http://localhost:8001"


def read_secret(secret: str | None, path: Path | None) -> str | None:
    """Return the secret that the options mean; raise ConfigError if it can't be read, or is empty."""
    if path is not None:
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError.at(f"the secret can't be read: {error.strerror}", source=str(path)) from error
    if secret == "":
        raise ConfigError.at("the secret is empty; leave it out for none")
    return secret


class _PlainFlags:
    """Shows a flag in the help by its name alone; newer Typers write ``<bool>`` behind it."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, of which flags have no kind of value to show."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command that it is mixed into
        for parameter in found:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return found


class Command(_PlainFlags, TyperCommand):
    """A command of ours."""


class Group(_PlainFlags, TyperGroup):
    """All commands of ours."""
