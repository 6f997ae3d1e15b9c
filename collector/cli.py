"""``evidently collector`` and its subcommands; what is heavy is imported inside them."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from collector import __version__
from collector.commands.options import (
    CollectorId,
    Command,
    FileFormat,
    Group,
    OneCollector,
    SecretFile,
    asks_service,
    option,
    read_secret,
)
from collector.host.signals import raise_at_interrupts
from collector.workers.environment import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.commands.remote import Service
    from collector.config.config_file import ConfigFile

# As in sysexits.h.
EX_SOFTWARE = 70
EX_CONFIG = 78
# The exit code of a program that SIGINT ended, as shells report it.
EX_INTERRUPTED = 130

app = typer.Typer(
    name="evidently collector",
    cls=Group,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)

command = partial(app.command, cls=Command)

# The variable that a shell sets when it asks for completions.
_COMPLETE = "_EVIDENTLY_COLLECTOR_COMPLETE"
_REPORT = "run it again with --debug to see where, and report it"
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

ConfigPath = Annotated[
    Path, option("CONFIG_PATH", help="The JSON file with the collectors; the default one is written if it's missing.")
]
DEFAULT_CONFIG_PATH = Path("collector_config.json")


@app.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    config_path: ConfigPath = DEFAULT_CONFIG_PATH,
    host: Annotated[str, option("HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, option("PORT", help="The port; 0 picks a free one.", min=0, max=65535)] = 8001,
    secret: Annotated[str | None, option("SECRET", help="What clients must send as [b]evidently-secret[/b].")] = None,
    secret_file: SecretFile = None,
    certfile: Annotated[
        str | None, option("CERTFILE", help="For TLS: the certificate, with its chain, in PEM.")
    ] = None,
    keyfile: Annotated[str | None, option("KEYFILE", help="For TLS: the certificate's key, in PEM.")] = None,
    no_live: Annotated[
        bool, option("NO_LIVE", "--no-live", help="Write logs in a terminal, too, and not the live view.")
    ] = False,
    log_format: Annotated[LogFormat, option("LOG_FORMAT", help="Logs for people, or a JSON object a line.")] = "text",
    log_level: Annotated[LogLevel, option("LOG_LEVEL", help="Log messages of this level and above.")] = "info",
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
    debug: Annotated[  # noqa: ARG001  (main takes it, wherever it stands)
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    """Collect events over HTTP, gather them into batches, and save an Evidently snapshot of each batch.

    Without a command, runs the service. To begin with data of your own:

    [dim]$[/dim] evidently-collector init --reference reference.csv
    [dim]$[/dim] evidently-collector
    [dim]$[/dim] evidently-collector send events.csv     (in another terminal)
    [dim]$[/dim] evidently-collector logs --follow

    Options may stand in the environment too, as --config-path does in
    EVIDENTLY_COLLECTOR_CONFIG_PATH.
    """
    if version:
        typer.echo(f"evidently-collector {__version__}")
        return
    if context.invoked_subcommand is not None:
        raise_at_interrupts()
    else:
        options = (host, port, read_secret(secret, secret_file), certfile, keyfile)
        _serve(config_path, *options, log_format=log_format, log_level=log_level, is_live=not no_live)


@command()
def init(
    reference: Annotated[
        str | None, typer.Option(metavar="FILE", help="The reference dataset, CSV or parquet; - for none.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The true value, if the events carry it too.")
    ] = None,
    prediction: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The model's answer; by default found by its name.")
    ] = None,
    collector_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="The collector's id; by default the reference's name.")
    ] = None,
    trigger: Annotated[
        str | None, typer.Option(help="When to make a snapshot: rows:500, every:1h, both with a comma, or cron:… .")
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(help="What to compute: DataDriftPreset, DataSummaryPreset …; several times.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(metavar="WHERE", help="A directory, or the address of an Evidently UI.")
    ] = None,
    project: Annotated[str | None, typer.Option(metavar="PROJECT", help="The project there, by name or id.")] = None,
    config_path: ConfigPath = DEFAULT_CONFIG_PATH,
    is_yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take the proposed answers.")] = False,
    is_overwritten: Annotated[
        bool, typer.Option("--overwrite", help="Overwrite files that are there already.")
    ] = False,
) -> None:
    """Write a first config: asks a few questions in a terminal, and proposes the answers.

    [dim]$[/dim] evidently-collector init
    [dim]$[/dim] evidently-collector init --reference reference.csv --yes
    [dim]$[/dim] evidently-collector init --trigger rows:1000,every:1h
    [dim]$[/dim] evidently-collector init --trigger "cron:0 9 * * * Europe/Berlin"
    [dim]$[/dim] evidently-collector init --workspace http://localhost:8000
    """
    from rich.console import Console

    from collector.commands.init import Given, ask_in_terminal, take_default
    from collector.commands.init import init as write
    from collector.views.logs import set_up_logs

    set_up_logs()
    given = Given(reference, target, prediction, collector_id, trigger, preset or (), workspace, project)
    ask = take_default if is_yes or not sys.stdin.isatty() else ask_in_terminal
    write(given, config_path, Console(highlight=False), ask, may_overwrite=is_overwritten)


@command()
@asks_service
def send(
    service: Service,
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV, parquet, NDJSON or Arrow; - for standard input.")],
    collector_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="To which collector, if there are several.")
    ] = None,
    format_: Annotated[
        FileFormat | None, typer.Option("--format", help="The format of the file, if its name doesn't say it.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Rows in a request; by default 10000, or what the trigger waits for if that is less."),
    ] = None,
    first: Annotated[int, typer.Option("--from", metavar="ROW", min=1, help="The first row that is sent.")] = 1,
    is_again: Annotated[
        bool, typer.Option("--again", help="Send as new rows, too, what was sent within the last day.")
    ] = False,
    is_labels: Annotated[
        bool,
        typer.Option(
            "--labels", help="The rows are labels: each has the key of an event, and what became known of it."
        ),
    ] = False,
) -> None:
    """Send a file of events, one a row, of any size; or a file of their labels.

    If it was interrupted, run it again: within a day no row is kept twice.
    A CSV file is read twice, as its types depend on all its rows. Files may be compressed, as .gz or .zst.

    [dim]$[/dim] evidently-collector send events.csv
    [dim]$[/dim] evidently-collector send events.parquet --id churn --url http://host:8001
    [dim]$[/dim] evidently-collector send labels.csv --labels
    [dim]$[/dim] zcat events.json.gz | evidently-collector send - --format ndjson
    """
    from collector.commands.send import Order
    from collector.commands.send import send as send_file

    order = Order(file, collector_id, format_, rows, first, is_again, is_labels)
    typer.echo(send_file(order, service))


@command()
@asks_service
def backfill(
    service: Service,
    collector_id: CollectorId,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...", help="CSV, parquet, NDJSON or Arrow; directories of such files; s3:// or gs://."
        ),
    ],
    column: Annotated[str, typer.Option("--time", metavar="COLUMN", help="The column that says when a row happened.")],
    period: Annotated[str, typer.Option(help="The length of a batch's period: 1d, 7d, 1h, 15m.")] = "1d",
    timezone: Annotated[str, typer.Option(help="The time zone of days and hours, as Europe/Berlin.")] = "UTC",
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="List the batches that would be made, and send nothing.")
    ] = False,
    is_replacement: Annotated[
        bool, typer.Option("--replace", help="Replace the snapshots of these periods, as after a report changed.")
    ] = False,
) -> None:
    """Make snapshots of the past from files: one batch for each period.

    Each has the time of its period and fires no alert; new events go first.
    If it was interrupted, run it again: it goes on where it stopped, and makes nothing twice.

    [dim]$[/dim] evidently-collector backfill churn 2025/*.parquet --time ts --dry-run
    [dim]$[/dim] evidently-collector backfill churn s3://bucket/events/ --time ts --period 1h
    [dim]$[/dim] evidently-collector backfill churn 2025.csv --time ts --timezone Europe/Berlin
    """
    from collector.commands.backfill import Order
    from collector.commands.backfill import backfill as make_history

    order = Order(collector_id, files, column, period, timezone, is_dry, is_replacement)
    for line in make_history(order, service):
        typer.echo(line)


@command()
@asks_service
def flush(service: Service, collector_id: OneCollector = None) -> None:
    """Make a batch of the rows that wait, and evaluate it now, without waiting for the trigger.

    [dim]$[/dim] evidently-collector flush churn
    """
    from collector.commands.remote import as_collectors_answer, choose_id

    with service.open() as client:
        sealed = client.flush(choose_id(client, collector_id))
    with as_collectors_answer():
        batch = sealed["batch_id"]
        typer.echo(f"{batch}  {sealed['rows']} rows, to be evaluated now" if batch else "nothing waits")


@command()
@asks_service
def delete(
    service: Service,
    collector_id: CollectorId,
    is_yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove it without asking.")] = False,
) -> None:
    """Remove a collector, with all of its events that no snapshot has yet.

    Snapshots that were delivered stay where they are.

    [dim]$[/dim] evidently-collector delete churn
    [dim]$[/dim] evidently-collector delete churn --yes
    """
    from collector.commands.outlook import what_goes
    from collector.errors import CommandError

    with service.open() as client:
        # a collector that was taken out of the config file may still have rows
        found = next((one for one in client.status()["collectors"] if one["id"] == collector_id), None)
        going = "" if found is None else what_goes(found)
        if going and not is_yes:
            if not sys.stdin.isatty():
                raise CommandError(f"{collector_id} has {going}, which would be removed", "add --yes to remove them")
            typer.confirm(f"{collector_id} has {going}. Remove it with them?", abort=True)
        client.delete_collector(collector_id)
    typer.echo(f"{collector_id} removed{f', with {going}' if going else ''}")


@command()
@asks_service
def rename(
    service: Service,
    collector_id: CollectorId,
    new_id: Annotated[str, typer.Argument(metavar="NEW", help="The new id.")],
) -> None:
    """Give a collector another id; its events, batches, log and alerts go with it.

    Requests to the old id are answered 404, with the new id.
    Snapshots that were delivered keep the old id in their metadata.

    [dim]$[/dim] evidently-collector rename churn churn-2
    """
    with service.open() as client:
        client.rename_collector(collector_id, new_id)
    typer.echo(f"{collector_id} is {new_id} now; have its senders send to {new_id}")


@command()
@asks_service
def logs(
    service: Service,
    collector_id: OneCollector = None,
    is_followed: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on, and print new entries as they come, until Ctrl-C.")
    ] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print each entry as a line of JSON.")] = False,
) -> None:
    """Show what became of a collector's last batches, oldest first.

    [dim]$[/dim] evidently-collector logs churn
    [dim]$[/dim] evidently-collector logs churn --follow
    """
    from rich.console import Console

    from collector.commands.logs import show_logs
    from collector.commands.remote import choose_id

    with service.open() as client:
        show_logs(
            client, choose_id(client, collector_id), Console(highlight=False), is_followed=is_followed, is_json=is_json
        )


@command()
@asks_service
def tap(
    service: Service,
    collector_id: OneCollector = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="The most events that are printed each half second.")] = 5,
) -> None:
    """Print events as they come, a few of each moment, until Ctrl-C; each is a line of JSON.

    If other machines can reach the service, it shows events only if it has a secret.

    [dim]$[/dim] evidently-collector tap churn
    [dim]$[/dim] evidently-collector tap churn --rows 100 | jq .age
    """
    from collector.commands.remote import choose_id
    from collector.commands.tap import tap as print_events

    with service.open() as client:
        print_events(client, choose_id(client, collector_id), rows, sys.stdout)


@command()
@asks_service
def retry(service: Service, collector_id: OneCollector = None) -> None:
    """Evaluate a collector's failed batches again, once the cause is fixed.

    [dim]$[/dim] evidently-collector retry churn
    """
    from collector.commands.remote import as_collectors_answer, choose_id

    with service.open() as client:
        batches = client.retry_failed(choose_id(client, collector_id))
    with as_collectors_answer():
        for batch in batches:
            typer.echo(f"{batch['batch_id']}  {batch['rows']} rows  {batch['error']}")
    typer.echo(f"{len(batches)} to be evaluated again" if batches else "no batch has failed")


@command()
@asks_service
def dashboard(service: Service, collector_id: OneCollector = None) -> None:
    """Make a collector's dashboard in the Evidently UI again, as of its newest snapshot.

    Panels of your own stay; those of the collector are replaced.

    [dim]$[/dim] evidently-collector dashboard churn
    """
    from collector.commands.remote import as_collectors_answer, choose_id

    with service.open() as client:
        shown = client.show_dashboard(choose_id(client, collector_id))
    with as_collectors_answer():
        typer.echo(f"the dashboard has {shown['panels']} panels of {shown['id']}")


@command()
def check(
    config_path: Annotated[
        Path, option("CONFIG_PATH", help="The JSON file with the collectors.")
    ] = DEFAULT_CONFIG_PATH,
    is_offline: Annotated[bool, typer.Option("--offline", help="Don't ask the Kafka brokers.")] = False,
) -> None:
    """Check all of a config file, without starting anything.

    Each report is computed once, over a sample of its reference; what can't be
    computed is listed. No provider of language models is asked.

    [dim]$[/dim] evidently-collector check --config-path collector_config.json
    """
    from collector.commands.check import check_config
    from collector.config.files import placed
    from collector.errors import ConfigError
    from collector.views.logs import set_up_logs

    set_up_logs()
    file = _load(config_path)
    config = file.config
    found = check_config(config, config_path.absolute().parent)
    if config.kafka is not None and not is_offline:
        from collector.sources.checking import find_problems

        found.problems += find_problems(config)
    for sentence in found.untried:
        typer.echo(f"{config_path}: {sentence}", err=True)
    if found.problems:
        raise placed(ConfigError(found.problems, str(config_path)), file.body)
    names = ", ".join(config.collectors) or "none"
    typer.echo(f"{config_path}: all good; collectors: {names}")


kafka = typer.Typer(cls=Group, no_args_is_help=True, help="Prepare Kafka for collectors that read from there.")
app.add_typer(kafka, name="kafka")


@kafka.command("init", cls=Command)
def kafka_init(
    config_path: Annotated[Path, option("CONFIG_PATH", help="The JSON file with the brokers.")] = DEFAULT_CONFIG_PATH,
) -> None:
    """Create the topics of the service itself, if they don't exist yet.

    They are kafka.ownership_topic, empty and with 64 partitions, and
    kafka.dead_letter_topic. The topics with events are yours to create.

    [dim]$[/dim] evidently-collector kafka init
    """
    from collector.errors import ConfigError
    from collector.sources.checking import make_topics

    config = _load(config_path).config
    if config.kafka is None:
        raise ConfigError.at("field required; write it, with bootstrap_servers", "kafka", source=str(config_path))
    for topic in make_topics(config.kafka) or ["nothing: all topics exist already"]:
        typer.echo(f"created {topic}")


@command()
def alerts(
    config_path: Annotated[Path, option("CONFIG_PATH", help="The JSON file with the rules.")] = DEFAULT_CONFIG_PATH,
    is_test: Annotated[bool, typer.Option("--test", help="Send one test message to each address.")] = False,
) -> None:
    """List the rules for alerts, and what is firing.

    With --test, sends one message to each address and prints its answer;
    exits with 1 if any message didn't arrive.

    [dim]$[/dim] evidently-collector alerts
    [dim]$[/dim] evidently-collector alerts --test
    """
    from collector.commands.alerts import list_alerts, send_tests

    config = _load(config_path).config
    if not config.alerts:
        typer.echo(f"{config_path} has no alerts; configs/alerts.md says how to write them")
        return
    if not is_test:
        for line in list_alerts(config, config_path.absolute().parent, time.time()):
            typer.echo(line)
        return
    came_back = send_tests(config)
    for address, said, _ in came_back:
        typer.echo(f"{address}  {said}")
    if not all(has_arrived for *_, has_arrived in came_back):
        sys.exit(1)


@command()
def schema() -> None:
    """Print the JSON Schema of the config file, for editors.

    [dim]$[/dim] evidently-collector schema > collector_config.schema.json
    """
    from collector.config.schema import file_schema

    typer.echo(json.dumps(file_schema(), indent=2))


@command()
def demo(
    directory: Annotated[Path, typer.Option(help="Where the demo's config, events and workspace go.")] = Path(
        "collector_demo"
    ),
) -> None:
    """Watch a collector find drift in real data, in an embedded workspace.

    [dim]$[/dim] evidently-collector demo
    [dim]$[/dim] evidently ui --workspace collector_demo/workspace
    """
    from rich.console import Console

    from collector.commands.demo import run_demo

    run_demo(directory, Console())


@command()
@asks_service
def status(
    service: Service,
    is_watched: Annotated[
        bool, typer.Option("--watch", help="Show it until Ctrl-C, with rates, and update it.")
    ] = False,
    is_json: Annotated[
        bool, typer.Option("--json", help="Print what the service answers; with --watch, a line each second.")
    ] = False,
) -> None:
    """Show the state of a running service: its config file, its workspaces, and each collector.

    Exits with 0 if all is well, with 1 if anything is in trouble or the service can't be reached.

    [dim]$[/dim] evidently-collector status
    [dim]$[/dim] evidently-collector status --url http://collector:8001 --watch
    """
    from collector.views.showing import show_once, watch

    with service.open(retries=0) as client:
        if is_watched:
            watch(client.status, service.url, is_json=is_json)
        elif not show_once(client.status, service.url, is_json=is_json):
            sys.exit(1)


def main() -> None:
    """Run the command line; errors are one sentence, a hint and an exit code, with ``--debug`` a traceback before."""
    arguments, is_debug = _without_debug(sys.argv[1:])
    try:
        app(arguments, prog_name=_name_of(arguments))
    except Exception as error:  # noqa: BLE001  (all of them are told)
        if is_debug:
            traceback.print_exc()
        _tell(error)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        if not _is_interrupt(error):
            raise
        sys.exit(EX_INTERRUPTED)


def _is_interrupt(error: BaseException) -> bool:
    """Tell whether Ctrl-C ended the command; with several tasks, KeyboardInterrupt comes in a group."""
    errors = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return isinstance(error, KeyboardInterrupt) or any(map(_is_interrupt, errors))


def _without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Take ``--debug`` out, wherever it stands among the options."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    left = [argument for argument in arguments[:end] if argument != "--debug"]
    is_debug = len(left) < end or os.environ.get(PREFIX + "DEBUG", "") not in {"", "0"}
    return [*left, *arguments[end:]], is_debug


def _name_of(arguments: Sequence[str]) -> str:
    """Return the name to show. Shells complete only names of one word."""
    is_completion = any(argument.endswith("-completion") for argument in arguments)
    is_script = Path(sys.argv[0]).name == "evidently-collector"
    return "evidently-collector" if is_script or is_completion or _COMPLETE in os.environ else "evidently collector"


def _tell(error: Exception) -> NoReturn:
    from collector.errors import CollectorError, CommandError, ConfigError, DataDirError, JournalBroken

    match error:
        case JournalBroken():  # another start recovers it; other faults of the data directory stay
            _fail(1, str(error))
        case ConfigError():
            _fail(EX_CONFIG, *error.sentences)
        case DataDirError():
            _fail(EX_CONFIG, str(error))
        case CommandError():
            _fail(error.exit_code, str(error), hint=error.hint)
        case CollectorError():
            _fail(1, str(error))
        case OSError() if error.strerror:
            _fail(1, ": ".join(str(part) for part in (error.filename, error.strerror) if part is not None))
        case _:
            said = f"{type(error).__name__}: {error}".removesuffix(": ")
            _fail(EX_SOFTWARE, f"a bug in the collector: {said}", hint=_REPORT)


def _serve(config_path: Path, *options: Any, log_format: str, log_level: str, is_live: bool) -> None:
    gc.disable()  # a collection while modules load takes 8 % of a start, and finds nothing to free
    # to search all packages for plugins takes 6 % of a start
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    file = _load(config_path, is_made_if_missing=True)
    from collector.views.logs import set_up_logs

    terminal = set_up_logs(log_format, log_level, is_live=is_live)
    from collector.daemon import Options, run
    from collector.errors import CollectorError

    gc.freeze()  # modules stay loaded; to go through them at each collection makes the longest pause an eighth longer
    gc.enable()
    try:
        run(replace(Options(*options), terminal=terminal), file)
    except CollectorError:
        raise
    except Exception:
        traceback.print_exc()  # the log says why a service has ended; nobody runs it again with --debug
        raise


def _load(path: Path, *, is_made_if_missing: bool = False) -> ConfigFile:
    from collector.config.config_file import ConfigFile
    from collector.errors import ConfigError

    try:
        return ConfigFile.open_or_make(path) if is_made_if_missing else ConfigFile.open(path)
    except OSError as error:
        raise ConfigError.at(error.strerror or str(error), source=str(path)) from error


def _fail(code: int, *sentences: str, hint: str = "") -> NoReturn:
    for sentence in sentences:
        typer.secho(f"error: {sentence}", fg=typer.colors.RED, err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    sys.exit(code)
