"""``init``: a first config, made of a reference file and a few answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from collector.commands.chance import advice_on_size
from collector.commands.proposal import Proposal
from collector.commands.references import Reference
from collector.commands.triggers import trigger_of
from collector.config import CollectorServiceConfig
from collector.config.model import CONFIG_PATH, check_id
from collector.config.schema import file_schema
from collector.config.workspace import is_uuid
from collector.disk.files import write_whole
from collector.errors import CommandError
from collector.wording import counted, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rich.console import Console

    from collector.config import CollectorConfig

T = TypeVar("T")

PRESETS = ("DataDriftPreset", "DataSummaryPreset", "RegressionPreset", "ClassificationPreset")
_OF_TASK = {"regression": "RegressionPreset", "classification": "ClassificationPreset"}


@dataclass(frozen=True)
class Given:
    """The options that were given; others are asked for, or have their default."""

    reference: str | None = None
    target: str | None = None
    prediction: str | None = None
    id: str | None = None
    trigger: str | None = None
    presets: Sequence[str] = ()
    workspace: str | None = None
    project: str | None = None


class Ask(Protocol):
    """Finds an answer that ``check`` accepts; ``check`` raises CommandError for others."""

    def __call__(self, question: str, default: str, check: Callable[[str], T], /) -> T:
        """Ask for it; ``default`` is what most people answer."""


def ask_in_terminal(question: str, default: str, check: Callable[[str], T]) -> T:
    """Ask a person until the answer is accepted."""

    def checked(answer: str) -> T:
        try:
            return check(answer.strip())
        except CommandError as error:
            raise typer.BadParameter(f"{error}; {error.hint}".removesuffix("; ")) from error

    answer: T = typer.prompt(question, default=default, value_proc=checked)
    return answer


def take_default(_question: str, default: str, check: Callable[[str], T]) -> T:
    """Answer as most would."""
    return check(default)


def init(given: Given, path: Path, console: Console, ask: Ask, *, may_overwrite: bool = False) -> None:
    """Write a config, its JSON Schema, and a CSV reference as parquet beside it; say what comes next.

    Raises CommandError for what can't be, and for a file that is there already, unless it may be overwritten.
    """
    interview = _Interview(given, console, ask)
    if not may_overwrite:
        _ask_before_overwriting([path], ask)
    reference = interview.reference()
    proposal = None if reference is None else interview.proposal(reference)
    collector_id, collector = interview.collector(reference, proposal, path.parent)
    config, made = _config(collector_id, collector, path)
    schema = _json(file_schema())
    if not may_overwrite:
        _ask_before_overwriting(_others_in_the_way(path, schema, reference), ask)
    path.parent.mkdir(parents=True, exist_ok=True)
    if reference is not None:
        reference.write(path.parent)
    write_whole(_schema_path(path), schema.encode())
    write_whole(path, _json(config).encode())
    if reference is not None:
        _advise_on_size(made, reference, path.parent, console)
    _say_what_is_next(path, made, console)


class _Interview:
    """Asks for the options that weren't given."""

    def __init__(self, given: Given, console: Console, ask: Ask) -> None:
        self._given = given
        self._console = console
        self._ask = ask

    def reference(self) -> Reference | None:
        return self._find(self._given.reference, "Reference, a CSV or parquet file (- for none)", "-", _reference)

    def proposal(self, reference: Reference) -> Proposal:
        """Propose what the columns are, and show it."""
        target, prediction = _column(self._given.target, reference), _column(self._given.prediction, reference)
        proposal = Proposal(reference.table, target, prediction)
        self._console.print(*_shown(proposal, reference), sep="\n")
        likely = proposal.likely_target
        if likely and target is None:
            question = f"'{likely}' looks like the true value; do the events have it, too (y/n)"
            if self._ask(question, "n", _yes_or_no):
                proposal = Proposal(reference.table, likely, prediction)
                self._console.print(*_shown(proposal, reference), sep="\n")
            else:
                note = f"'{likely}' is left out, as true values mostly come later (else: --target {likely})"
                self._console.print(Text(note))
        return proposal

    def collector(
        self, reference: Reference | None, proposal: Proposal | None, directory: Path
    ) -> tuple[str, dict[str, Any]]:
        """Return the id and the config of the collector; ``directory`` is the config's."""
        given, find = self._given, self._find
        name = "main" if reference is None else reference.path.name.partition(".")[0]
        collector_id = find(given.id, "Id of the collector, a part of its address", name, _id)
        presets = find(" ".join(given.presets) or None, "What to compute", " ".join(_usual(proposal)), _presets)
        trigger = find(given.trigger, "When to make a snapshot (rows:N, every:1h, cron:…)", "rows:500", trigger_of)
        workspace = find(given.workspace, "Where snapshots go, a directory or an address", "workspace", _not_empty)
        project = find(given.project, "The project there, by name or id", collector_id, _not_empty)
        columns = {} if proposal is None else self._columns(proposal)
        return collector_id, {
            "trigger": trigger,
            "report_config": {"metrics": _metrics(presets, proposal), "include_tests": False, "tags": []},
            **columns,
            **({} if reference is None else {"reference_path": reference.path_in_config(directory)}),
            "api_url": workspace,
            "api_secret": None,
            "project_id" if is_uuid(project) else "project_name": project,
        }

    def _columns(self, proposal: Proposal) -> dict[str, Any]:
        columns: dict[str, Any] = {"data_definition": proposal.data_definition()}
        for name in proposal.of("datetime")[:1]:
            is_time = self._ask(f"'{name}' looks like when an event happened; is it (y/n)", "y", _yes_or_no)
            columns |= {"timestamp_column": name} if is_time else {}
        return columns

    def _find(self, option: str | None, question: str, default: str, check: Callable[[str], T]) -> T:
        return self._ask(question, default, check) if option is None else check(option)


def _config(collector_id: str, collector: dict[str, Any], path: Path) -> tuple[dict[str, Any], CollectorConfig]:
    """Return the file's contents, and the collector that they make; raise ConfigError for an impossible one.

    What people often change is written out, even where it is the default.
    """
    default = CollectorServiceConfig()
    shown = ("autosave", "data_dir", "durability", "evaluation_timeout", "evaluation_workers")
    config = {
        "$schema": _schema_path(path).name,
        "collectors": {collector_id: collector},
        **{name: getattr(default, name) for name in shown},
        "storage": {"max_log_events": 100},
        "retention": {"batches": default.retention.batches, "seconds": default.retention.seconds},
    }
    made = CollectorServiceConfig.parse(config, source=str(path)).collectors[collector_id]
    if problems := made.workspace_problems():
        raise CommandError(problems[0].message)
    return config, made


def _metrics(presets: Sequence[str], proposal: Proposal | None) -> list[Any]:
    """Leave texts out of the drift: it trains a model for each, which takes half a minute and fails on few words."""
    columns = [] if proposal is None or not proposal.of("text") else proposal.of("numerical", "categorical")
    drift: dict[str, Any] = {"type": "DataDriftPreset", "columns": columns}
    return [drift if preset == "DataDriftPreset" and columns else preset for preset in presets]


def _usual(proposal: Proposal | None) -> list[str]:
    if proposal is None or not proposal.of("numerical", "categorical"):
        return ["DataSummaryPreset"]
    return ["DataDriftPreset", *([_OF_TASK[proposal.task]] if proposal.task else [])]


def _shown(proposal: Proposal, reference: Reference) -> tuple[Text, Table]:
    """Return a title, with the table below it: a title in the table would be wrapped to its columns' width."""
    size = f"{counted(reference.table.num_rows, 'row')}, {counted(reference.table.num_columns, 'column')}"
    table = Table("taken as", "columns", box=None, pad_edge=False)
    for kind in ("numerical", "categorical", "text", "datetime", "id", "left out"):
        if names := proposal.of(kind):
            table.add_row(kind, Text(", ".join(names)))
    for role in ("target", "prediction"):
        if (name := getattr(proposal, role)) is not None:
            table.add_row(role, Text(name), style="bold")
    return Text(f"{reference.path}: {size}", style="bold"), table


def _advise_on_size(config: CollectorConfig, reference: Reference, base: Path, console: Console) -> None:
    """Say how often chance alone calls drift at this batch size, if the reference has enough rows to draw some."""
    rows = config.trigger.rows
    if rows is None or 2 * rows > reference.table.num_rows:
        return
    with console.status("trying batches of that size on the reference …"):
        sentences = advice_on_size(config, rows, base)
    for sentence in sentences:
        console.print(Text(sentence))


def _say_what_is_next(path: Path, config: CollectorConfig, console: Console) -> None:
    at = "" if str(path) == CONFIG_PATH else f" --config-path {path}"
    workspace = config.workspace_directory(path.parent)
    look = config.shown_url if workspace is None else f"evidently ui --workspace {workspace}"
    past = f"evidently-collector backfill {config.id} FILES --time {config.timestamp_column}"
    steps = [
        ("wrote", str(path), "columns, trigger, workspace: change them as you like"),
        ("next", f"evidently-collector{at}", "the service"),
        ("then", f"evidently-collector send FILE --id {config.id}", "in another terminal"),
        *([("past", past, "a snapshot of each day before")] if config.timestamp_column else []),
        ("look", look, "the snapshots"),
    ]
    console.print()
    for when, what, why in steps:
        line = Text.assemble(f"{when:<6} ", (what, "bold"), f"   {why}")
        if line.cell_len > console.width:
            line = Text.assemble(f"{when:<6} ", (what, "bold"), f"\n{'':<6} {why}")
        console.print(line, soft_wrap=True)


def _others_in_the_way(path: Path, schema: str, reference: Reference | None) -> list[Path]:
    """Name the files beside the config that would be overwritten with something else."""
    is_other = not _schema_path(path).exists() or _schema_path(path).read_text(encoding="utf-8") != schema
    files = [_schema_path(path)] if is_other else []
    return files if reference is None or reference.is_written(path.parent) else [*files, reference.target(path.parent)]


def _ask_before_overwriting(files: Sequence[Path], ask: Ask) -> None:
    names = " and ".join(str(file) for file in files if file.exists())
    if names and not ask(f"Overwrite {names} (y/n)", "n", _yes_or_no):
        raise CommandError(f"{names} would be overwritten", "choose another --config-path, or add --overwrite")


def _schema_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.schema.json")


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


# Checks of answers


def _reference(answer: str) -> Reference | None:
    return None if answer == "-" else Reference.read(answer)


def _column(name: str | None, reference: Reference) -> str | None:
    names = reference.table.column_names
    if name is not None and name not in names:
        raise CommandError(f"{reference.path} has no column '{name}'", did_you_mean(name, names))
    return name


def _id(answer: str) -> str:
    try:
        return check_id(answer)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _presets(answer: str) -> list[str]:
    names = answer.replace(",", " ").split()
    unknown = next((name for name in names if name not in PRESETS), None)
    if unknown is not None or not names:
        raise CommandError(f"'{unknown or ''}' isn't a preset that init knows", did_you_mean(unknown or "", PRESETS))
    return names


def _not_empty(answer: str) -> str:
    if not answer:
        raise CommandError("it can't be empty")
    return answer


def _yes_or_no(answer: str) -> bool:
    if answer.lower() not in {"y", "yes", "n", "no"}:
        raise CommandError("type y or n")
    return answer.lower().startswith("y")
