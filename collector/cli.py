"""``evidently collector`` and its subcommands; what is heavy is imported inside them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from collector import __version__

if TYPE_CHECKING:
    from collector.config.config_file import ConfigFile

EX_CONFIG = 78  # sysexits.h
_ENV = "EVIDENTLY_COLLECTOR_"

app = typer.Typer(
    name="evidently collector",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)

ConfigPath = Annotated[
    Path,
    typer.Option(
        envvar=_ENV + "CONFIG_PATH",
        help="The JSON file with the collectors; the default one is written if it's missing.",
    ),
]
DEFAULT_CONFIG_PATH = Path("collector_config.json")


@app.callback(invoke_without_command=True)
def run(  # noqa: PLR0913  (each is an option of the command line)
    context: typer.Context,
    config_path: ConfigPath = DEFAULT_CONFIG_PATH,
    host: Annotated[str, typer.Option(envvar=_ENV + "HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar=_ENV + "PORT", help="The port; 0 takes a free one.", min=0, max=65535)
    ] = 8001,
    secret: Annotated[
        str | None,
        typer.Option(
            envvar=_ENV + "SECRET", help="What clients must send as [b]evidently-secret[/b].", show_envvar=True
        ),
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(envvar=_ENV + "SECRET_FILE", help="A file that holds the secret, and nothing else.")
    ] = None,
    certfile: Annotated[
        str | None, typer.Option(envvar=_ENV + "CERTFILE", help="For TLS: the certificate, with its chain, in PEM.")
    ] = None,
    keyfile: Annotated[
        str | None, typer.Option(envvar=_ENV + "KEYFILE", help="For TLS: the certificate's key, in PEM.")
    ] = None,
    version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """Take events over HTTP, gather them into batches, and save an Evidently snapshot of each batch.

    Without a command, runs the service:

        evidently collector --config-path collector_config.json
    """
    if version:
        typer.echo(f"evidently-collector {__version__}")
        return
    if context.invoked_subcommand is None:
        _serve(config_path, host, port, _read_secret(secret, secret_file), certfile, keyfile)


@app.command()
def check(config_path: ConfigPath = DEFAULT_CONFIG_PATH) -> None:
    """Check a config file whole, reports and references too, without starting anything."""
    from collector.checking import check_config
    from collector.config.files import placed
    from collector.errors import ConfigError
    from collector.views.logs import set_up_logs

    set_up_logs()
    file = _load(config_path)
    config = file.config
    problems = check_config(config, config_path.absolute().parent)
    if problems:
        located = placed(ConfigError(problems), file.body).problems
        _fail(EX_CONFIG, *(f"{config_path}: {problem}" for problem in located))
    names = ", ".join(config.collectors) or "none"
    typer.echo(f"{config_path}: all good; collectors: {names}")


@app.command()
def demo(
    directory: Annotated[Path, typer.Option(help="Where the demo's config, events and workspace go.")] = Path(
        "collector_demo"
    ),
) -> None:
    """Watch a collector find drift in real data, in an embedded workspace."""
    from rich.console import Console

    from collector.demo import run_demo

    run_demo(directory, Console())


@app.command()
def retry(
    collector_id: Annotated[
        str, typer.Argument(metavar="ID", help="The collector whose failed batches are to be retried.")
    ],
    url: Annotated[str, typer.Option(envvar=_ENV + "URL", help="Where the service runs.")] = "http://localhost:8001",
    secret: Annotated[str | None, typer.Option(envvar=_ENV + "SECRET", help="The service's secret.")] = None,
    secret_file: Annotated[
        Path | None, typer.Option(envvar=_ENV + "SECRET_FILE", help="A file that holds the secret, and nothing else.")
    ] = None,
    cafile: Annotated[
        str | None, typer.Option(envvar=_ENV + "CAFILE", help="The authority that vouches for the service, in PEM.")
    ] = None,
) -> None:
    """Have the batches of a collector evaluated again whose report failed, after a config fix or not."""
    from collector.client import CollectorClient

    with CollectorClient(url, _read_secret(secret, secret_file), verify=cafile or True) as client:
        batches = client.retry_failed(collector_id)
    for batch in batches:
        typer.echo(f"{batch['batch_id']}  {batch['rows']} rows  {batch['error']}")
    typer.echo(f"{len(batches)} to be evaluated again" if batches else "no batch has failed")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the config file, for editors."""
    from collector.config import CollectorServiceConfig

    typer.echo(json.dumps(CollectorServiceConfig.model_json_schema(), indent=2))


def main() -> None:
    """Run the command line; errors are one sentence, and an exit code."""
    from collector.errors import CollectorError, ConfigError, DataDirError

    try:
        app(prog_name="evidently collector")
    except (ConfigError, DataDirError) as error:
        _fail(EX_CONFIG, str(error))
    except CollectorError as error:
        _fail(1, str(error))


def _serve(config_path: Path, *options: Any) -> None:
    file = _load(config_path, is_made_if_missing=True)
    from collector.views.logs import set_up_logs

    set_up_logs()
    from collector.daemon import Options, run

    run(Options(*options), file)


def _load(path: Path, *, is_made_if_missing: bool = False) -> ConfigFile:
    from collector.config.config_file import ConfigFile
    from collector.errors import ConfigError

    try:
        return ConfigFile.open_or_make(path) if is_made_if_missing else ConfigFile.open(path)
    except OSError as error:
        raise ConfigError.at(error.strerror or str(error), source=str(path)) from error


def _read_secret(secret: str | None, path: Path | None) -> str | None:
    from collector.errors import ConfigError

    if path is not None:
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError.at(f"the secret can't be read: {error.strerror}", source=str(path)) from error
    if secret == "":
        raise ConfigError.at("the secret is empty; leave it out for none")
    return secret


def _fail(code: int, *sentences: str) -> NoReturn:
    for sentence in sentences:
        typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)
    sys.exit(code)
