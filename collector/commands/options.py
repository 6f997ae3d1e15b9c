"""Options that several commands share, each declared once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from collector.errors import ConfigError

ENV = "EVIDENTLY_COLLECTOR_"

_service_option = partial(typer.Option, show_envvar=False, rich_help_panel="The service")

CollectorId = Annotated[str, typer.Argument(metavar="ID", help="The collector's id.")]
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
