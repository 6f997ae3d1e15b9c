"""Options that several commands share, each declared once."""

from __future__ import annotations

from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from collector.errors import ConfigError
from collector.workers.environment import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from collector.commands.remote import Service

FileFormat = Literal["csv", "parquet", "ndjson", "json", "arrow"]


def option(variable: str, *names: str, **given: Any) -> Any:
    """Make an option that may stand in the environment too, which the help says once for all."""
    return typer.Option(*names, show_envvar=False, envvar=PREFIX + variable, **given)


_service_option = partial(option, rich_help_panel="The service")

CollectorId = Annotated[str, typer.Argument(metavar="ID", help="The collector's id.")]
OneCollector = Annotated[
    str | None, typer.Argument(metavar="ID", help="The collector's id; may be left out if there is only one.")
]
SecretFile = Annotated[
    Path | None, _service_option("SECRET_FILE", help="A file that holds the secret, and nothing else.")
]


def _of_service(
    url: Annotated[str, _service_option("URL", help="Where the service runs.")] = "http://localhost:8001",
    secret: Annotated[str | None, _service_option("SECRET", help="The service's secret.")] = None,
    secret_file: SecretFile = None,
    cafile: Annotated[
        str | None, _service_option("CAFILE", help="The authority that signed the service's certificate, in PEM.")
    ] = None,
) -> Service:
    from collector.commands.remote import Service

    return Service(url, secret, secret_file, cafile)


def asks_service(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the service is; the command gets what they say as its ``service``."""
    own, asked = _parameters(command), _parameters(_of_service)
    del own["service"]

    @wraps(command)
    def run(**given: Any) -> None:
        command(_of_service(**{name: given.pop(name) for name in asked}), **given)

    # The types of which Typer makes options.
    shown = [*own.values(), *asked.values()]
    vars(run)["__signature__"] = Signature([one.replace(kind=Parameter.KEYWORD_ONLY) for one in shown])
    run.__annotations__ = {one.name: one.annotation for one in shown}
    return run


def _parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    # Service isn't imported yet, because it would import httpx.
    types = get_type_hints(function, localns={"Service": object}, include_extras=True)
    return {one.name: one.replace(annotation=types[one.name]) for one in signature(function).parameters.values()}


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
        """Return the parameters; for flags, no kind of value is shown."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of the command that it is mixed into
        for parameter in found:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return found


class Command(_PlainFlags, TyperCommand):
    """A command of ours."""


class Group(_PlainFlags, TyperGroup):
    """All commands of ours."""
