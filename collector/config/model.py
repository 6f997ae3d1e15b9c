"""The configuration: collectors by id, and what holds for all of them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from collector.config.alerts import MAX_RULES, Alert, WebAddress, problems_of
from collector.config.callers import Host, Origin
from collector.config.following import following_problems
from collector.config.kafka import FromKafka, Kafka
from collector.config.labels import LABELS, MAIN, REPORTS, Labels
from collector.config.limits import Idempotency, Limits, Retention, Storage
from collector.config.masking import MASK, masked
from collector.config.private import PrivateColumns
from collector.config.reference_from import ReferenceFrom
from collector.config.report import MAX_ITEMS, ReportConfig
from collector.config.rows import Condition, Segments
from collector.config.senders import Input
from collector.config.tasks import task_ids, whole_of
from collector.config.triggers import EventTimeTrigger, Trigger
from collector.config.value import MAX_LENGTH, ColumnName, Text, Value, at_fields
from collector.config.workspace import InWorkspace
from collector.errors import ConfigError, Problem
from collector.formats.addresses import has_keys, is_address
from collector.wording import json_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from collector.formats.private import Private

CONFIG_PATH = "collector_config.json"
_OUTSIDE = (
    "{} lies outside {}, and a client named it, so it isn't used; move it into that directory, or have the "
    'operator write it into the config file, with "is_posted": false'
)

# First segments of our own routes. The last three are the original's routes, and room for ours to come.
RESERVED_IDS = frozenset({"livez", "readyz", "metrics", "schema", "status", "-"})
MAX_ID_LENGTH = 128
# How deep a collector's config may be nested: five times any report of Evidently's. Each level takes two of Python's
# 1000 frames.
MAX_DEPTH = 100

# Settings for which it isn't proven that a takeover by another service neither loses nor doubles anything.
_NOT_WITH_KAFKA = ("events_from", "labels", "reference_from", "input", "segments")

_SEGMENT = re.compile(r"(?!\.\.?$)[\w.~-]*")


def check_id(collector_id: str) -> str:
    """Return the id, or raise ValueError saying why it can't be one."""
    if not 0 < len(collector_id) <= MAX_ID_LENGTH:
        raise ValueError(f"an id has 1 to {MAX_ID_LENGTH} characters, this one {len(collector_id)}")
    if "/" in collector_id or ".." in collector_id or collector_id == ".":
        raise ValueError("an id has no '/' and no '..' in it, as it is a part of the path of its requests")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in collector_id):
        raise ValueError("an id has no control characters and no lone surrogates in it")
    if collector_id in RESERVED_IDS:
        raise ValueError(f"the id '{collector_id}' is taken by a route of the service; choose another")
    return collector_id


class Sample(Value):
    """What of a batch a report is computed over, if the batch is larger."""

    rows: int = Field(gt=0, description="How many rows of the batch are drawn, at random.")


class Dashboard(Value):
    """What a collector's dashboard shows; written as true if it is as by default, as false if there is none."""

    columns_max: int = Field(
        default=12,
        ge=0,
        le=100,
        description="How many columns a panel shows, the report's first ones; 0: no dashboard.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_yes_or_no(cls, data: object) -> object:
        if isinstance(data, bool):
            return {} if data else {"columns_max": 0}
        if not isinstance(data, dict | Dashboard):
            raise ValueError(f'must be true, false, or an object, as {{"columns_max": 12}}, not {json_kind(data)}')  # noqa: TRY004  (pydantic takes ValueError)
        return data

    @model_serializer(mode="wrap")
    def _as_yes_or_no(self, handler: SerializerFunctionWrapHandler) -> Any:
        return self == Dashboard() or (handler(self) if self.columns_max else False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, handler(core)]}


class CollectorConfig(InWorkspace, Value):
    """One collector: when to compute what over its events, against which reference, saved where."""

    always_written: ClassVar[frozenset[str]] = frozenset(
        {"id", "trigger", "report_config", "reference_path", "cache_reference"}
        | {"project_id", "api_url", "api_secret", "is_cloud", "save_datasets"}
    )

    id: str = Field(default="", description="Not used: the collector's key in `collectors` is its id.")
    trigger: Trigger = Field(description="Defines when to create a new snapshot from the current batch.")
    report_config: ReportConfig = Field(description="The contents of the snapshot computed for each batch.")
    reference_path: str | None = Field(
        default=None,
        max_length=MAX_LENGTH,
        description="Path of a parquet file with the reference dataset, or its address as s3://bucket/file.parquet.",
    )
    reference_from: ReferenceFrom | None = Field(
        default=None, description="Without a reference_path: which of the collector's own rows become the reference."
    )
    events_from: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ID_LENGTH,
        description="Another collector's id: this one gets each event that the other accepts, and accepts none itself.",
    )
    when_full: Literal["refuse", "skip"] = Field(
        default="refuse",
        description="With events_from, while this collector has no room for more events: the other collector refuses "
        "them, too (refuse), or this one does without them (skip).",
    )
    additional_data: dict[str, Text] = Field(
        default={},
        max_length=MAX_ITEMS,
        description="Further parquet files that metrics ask for by name, as current_train_data for recommendations.",
    )
    columns: PrivateColumns | None = Field(
        default=None, description="Columns that are dropped or hashed before anything of them reaches the disk."
    )
    project_id: str | None = Field(
        default=None, max_length=MAX_LENGTH, description="ID of the project to save snapshots to."
    )
    project_name: Text | None = Field(
        default=None,
        description="Instead of project_id: the project's name; it is created if missing.",
    )
    api_url: Text = Field(
        default="http://localhost:8000",
        description="Where snapshots go: an Evidently UI service, Evidently Cloud, or a workspace directory.",
    )
    api_secret: str | None = Field(
        default=None,
        repr=False,
        max_length=MAX_LENGTH,
        description="The workspace's secret, or ${NAME} to take it from the environment.",
    )
    cache_reference: bool = Field(default=True, description="Keep the reference in memory, or re-read it each time.")
    where: dict[ColumnName, Condition] = Field(
        default={},
        max_length=100,
        description='Conditions on columns, {"age": {"gte": 18}}: the report is of the rows that meet all of them.',
    )
    segments: Segments | None = Field(
        default=None, description="Also a report for each segment, as for each country; null: for all rows only."
    )
    sample: Sample | None = Field(
        default=None,
        description="A larger batch's report is computed over this many of its rows, drawn at random; null: over all.",
    )
    cast: Literal["untyped", "all", "none"] = Field(
        default="untyped",
        description="Which columns are cast to the reference's types where nothing is lost: those of JSON and CSV "
        "(untyped), all, or none.",
    )
    reuse_drift: bool = Field(
        default=True,
        description="An older setting: false turns the service's fast_reports off for this collector alone.",
    )
    timestamp_column: ColumnName | None = Field(
        default=None,
        description="The column that says when an event happened; a snapshot then has the time of its events.",
    )
    export: Literal["all"] | list[str | dict[Literal["type", "column", "label"], str]] = Field(
        default=[],
        max_length=200,
        description='Values of each snapshot that /metrics has: "DriftedColumnsCount", {"type": "ValueDrift", '
        '"column": "age"}, or "all"; 200 at most.',
    )
    is_cloud: bool | None = Field(
        default=None, description="Speak to Evidently Cloud; null: if api_url is its address."
    )
    save_datasets: bool = Field(default=False, description="Upload the rows beside each snapshot (Cloud only).")
    data_definition: dict[str, Any] | None = Field(
        default=None, max_length=MAX_ITEMS, description="Fields of evidently.DataDefinition, for modern reports."
    )
    column_mapping: dict[str, Any] | None = Field(
        default=None,
        max_length=MAX_ITEMS,
        description="Fields of evidently.legacy's ColumnMapping, for legacy reports.",
    )

    labels: Labels | None = Field(
        default=None, description="Labels that come later, by a key, and the report that is made of them."
    )
    dashboard: Dashboard | None = Field(
        default=None,
        description="Make a dashboard in the project at the first snapshot; null: yes, except in Evidently Cloud.",
    )

    input: Input | None = Field(
        default=None, description="What it accepts beside tables: the requests and responses that a model server logs."
    )
    kafka: FromKafka | None = Field(
        default=None,
        description="Take its events from topics of Apache Kafka instead of POSTs; the brokers are the file's `kafka`.",
    )

    is_posted: bool = Field(
        default=False,
        description="Set by the service: a client named these paths, so they must lie in this file's directory; "
        "write false to allow others.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_some_depth(cls, data: object) -> object:
        if _is_deeper(data, MAX_DEPTH):
            raise ValueError(f"is nested more than {MAX_DEPTH} deep")
        return data

    @model_validator(mode="after")
    def _one_project(self) -> Self:
        if self.project_id is None and self.project_name is None:
            raise at_fields("field required (or project_name)", "project_id")
        if self.project_id is not None and self.project_name is not None:
            raise at_fields("give project_id or project_name, not both", "project_name")
        return self

    @model_validator(mode="after")
    def _one_generation(self) -> Self:
        if self.labels is not None and self.labels.report_config.generation != self.report_config.generation:
            generation = self.report_config.generation
            raise at_fields(
                f"must have a {generation} report, as the collector itself has: both go to one project", LABELS
            )
        return self

    @model_validator(mode="after")
    def _keeps_what_it_needs(self) -> Self:
        if self.columns is not None and self.kafka is not None:
            raise at_fields("can't be used with kafka: drop or hash them before events get there", "columns")
        for field, message in self.asks_for_hidden(self.columns) if self.columns is not None else ():
            raise at_fields(message, field)
        return self

    def asks_for_hidden(self, columns: PrivateColumns, whose: str = "`columns`") -> Iterator[tuple[str, str]]:
        """Yield the fields that ask of columns what is dropped or hashed, and why that can't be."""
        for field, name in self._named_columns():
            if columns.drops(name):
                yield field, f"names '{name}', which {whose} drops"
        if self.timestamp_column in columns.hash:
            yield "timestamp_column", f"names '{self.timestamp_column}', which {whose} hashes: a hash isn't a time"
        hashed = 'hashes: write the hash of a value, as "hmac:…", in its place'
        for name, condition in self.where.items():
            if name in columns.hash and not condition.fits_hashes:
                yield "where", f"compares '{name}', which {whose} {hashed}, with eq, not_eq, is_in or not_in"
        if self.segments is not None and self.segments.column in columns.hash and not self.segments.fits_hashes:
            yield "segments", f"divides '{self.segments.column}', which {whose} {hashed}, without edges"

    def _named_columns(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that the collector itself needs, whatever its report asks for, by the fields' names."""
        if self.timestamp_column is not None:
            yield "timestamp_column", self.timestamp_column
        for name in (self.labels.key, *self.labels.columns) if self.labels is not None else ():
            yield "labels", name
        for name in self.where:
            yield "where", name
        if self.segments is not None:
            yield "segments", self.segments.column
        for _, name in self.input.kserve.names() if self.input is not None else ():
            yield "input", name

    @model_validator(mode="after")
    def _goes_with_kafka(self) -> Self:
        if self.kafka is None:
            return self
        if self.is_posted:
            raise at_fields("can be set in the config file only; write this collector there", "kafka")
        for name in _NOT_WITH_KAFKA:
            if getattr(self, name, None):
                raise at_fields(
                    f"a collector with '{name}' can't take its events from Kafka; leave out one of the two", name
                )
        return self

    @model_validator(mode="after")
    def _tells_times(self) -> Self:
        if isinstance(self.trigger, EventTimeTrigger) and self.timestamp_column is None:
            raise at_fields("field required, as EventTimeTrigger needs the times of events", "timestamp_column")
        if isinstance(self.trigger, EventTimeTrigger) and self.kafka is not None:
            raise at_fields("EventTimeTrigger doesn't work with events from Kafka; take another trigger", "trigger")
        return self

    @field_validator("api_url")
    @classmethod
    def _address(cls, url: str) -> str:
        # the original's docs write an address in text so, as RFC 3986 advises
        url = url.removeprefix("<").removesuffix(">")
        try:
            urlsplit(url)
        except ValueError as error:
            raise ValueError("isn't an address; write it as http://HOST:PORT, or as the path of a directory") from error
        return url

    @field_validator("project_id")
    @classmethod
    def _one_segment(cls, project_id: str | None) -> str | None:
        if not _SEGMENT.fullmatch(project_id or ""):  # it becomes a segment of request paths
            raise ValueError("isn't the id of a project; write the UUID that the workspace shows")
        return project_id

    @field_validator("reference_path", "api_url")
    @classmethod
    def _no_nul(cls, path: str | None) -> str | None:
        if "\0" in (path or ""):
            raise ValueError("has a NUL character in it; take that out")
        return path

    @field_validator("reference_path")
    @classmethod
    def _no_keys(cls, path: str | None) -> str | None:
        if path is not None and is_address(path) and has_keys(path):
            raise ValueError("has keys in it, which clients would see; put them into the environment of the service")
        return path

    @field_validator("additional_data")
    @classmethod
    def _no_nul_in_any(cls, paths: dict[str, str]) -> dict[str, str]:
        for path in paths.values():
            cls._no_nul(path)
        return paths

    @field_validator("api_secret")
    @classmethod
    def _not_empty(cls, secret: str | None) -> str | None:
        if secret == "":
            raise ValueError("is empty; leave it out or write null for none")
        return secret

    def for_report(self, report: str) -> Self:
        """Return the config of one of the collector's reports: of the rows that have labels, or else of all."""
        if report != LABELS or self.labels is None:
            return self
        own = {"report_config": self.labels.report_config, "data_definition": self.labels.data_definition}
        return self.model_copy(update=own)

    @property
    def reports(self) -> Sequence[str]:
        """The names of its reports."""
        return (MAIN,) if self.labels is None else REPORTS

    @property
    def rows_wanted(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Its ``where`` and ``segments`` as a worker takes them."""
        where = {name: condition.model_dump() for name, condition in self.where.items()}
        return where, None if self.segments is None else dict(self.segments)

    def reference_file(self, base: Path) -> Path | None:
        """Return the reference's path, if it is a file of this machine; a relative one starts at ``base``."""
        return None if self.reference_path is None or self.remote_reference else base / self.reference_path

    @property
    def remote_reference(self) -> str | None:
        """The address of its reference, if that is in a store."""
        return self.reference_path if self.reference_path and is_address(self.reference_path) else None

    def compared_with(self, reference: Path, **changes: Any) -> Self:
        """Return the config with another reference."""
        return self.model_copy(update={"reference_path": str(reference), **changes})

    def additional_files(self, base: Path) -> dict[str, Path]:
        """Return the paths of ``additional_data`` by name; relative ones start at ``base``."""
        return {name: base / path for name, path in self.additional_data.items()}

    def tables(self, base: Path) -> dict[tuple[str, ...], Path]:
        """Return the parquet files that a report needs beside its batch, by the fields that name them."""
        reference = self.reference_file(base)
        first: dict[tuple[str, ...], Path] = {} if reference is None else {("reference_path",): reference}
        return first | {("additional_data", name): path for name, path in self.additional_files(base).items()}

    def outside(self, base: Path, data_dir: Path) -> list[Problem]:
        """Say which of its paths a client that posted it may not name; see ``is_posted``."""
        if not self.is_posted:
            return []
        tables_may_be = (base, data_dir / "references")
        problems = [
            Problem(field, _OUTSIDE.format(path, base))
            for field, path in self.tables(base).items()
            if not any(_is_inside(path, place) for place in tables_may_be)
        ]
        if self.remote_reference:
            problems.append(Problem(("reference_path",), _OUTSIDE.format(self.remote_reference, base)))
        directory = self.workspace_directory(base)
        if directory is not None and (not _is_inside(directory, base) or _is_inside(directory, data_dir)):
            problems.append(Problem(("api_url",), _OUTSIDE.format(directory, base)))
        return problems

    @property
    def columns_max(self) -> int:
        """Columns that a panel of its dashboard shows at most."""
        return (self.dashboard or Dashboard()).columns_max

    def why_no_dashboard(self) -> str | None:
        """Say why it gets no dashboard; None if it gets one."""
        if self.report_config.generation == "legacy":
            return "its report is a legacy one, and only the UI for modern reports has dashboards"
        if self.columns_max == 0:
            return 'its config says "dashboard": false'
        if self.dashboard is None and self.workspace_kind == "cloud":
            return 'it delivers to Evidently Cloud, where its config must say "dashboard": true'
        return None

    def masked(self) -> dict[str, Any]:
        """Return what may be shown to clients: all but secrets, and what is the operator's alone."""
        shown = self.model_dump()
        shown.pop("is_posted", None)
        shown["api_secret"] = None if self.api_secret is None else MASK
        if self.columns is not None:
            shown["columns"] = self.columns.masked().model_dump()
        for name in ("report_config", "labels"):
            if name in shown:
                shown[name] = masked(shown[name])
        return shown | {"api_url": self.shown_url}


def _tasks(config: CollectorConfig) -> list[str]:
    return task_ids(config.id, 1 if config.kafka is None else config.kafka.tasks_max)


def _is_deeper(value: object, depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(depth == 0 or _is_deeper(one, depth - 1) for one in inner)


def _is_inside(path: Path, directory: Path) -> bool:
    # Not Path.resolve, which raises for links that form a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(directory))


# Editors learn from it where this schema is; to us it means nothing.
_SCHEMA_KEY: dict[str, Any] = {"$schema": {"type": "string", "description": "This schema, for editors."}}


class CollectorServiceConfig(Value):
    """The whole service: its collectors by id, and what holds for all of them."""

    always_written: ClassVar[frozenset[str]] = frozenset({"check_interval", "collectors", "storage", "autosave"})

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["properties"].update(_SCHEMA_KEY))

    check_interval: float = Field(default=1, description="Unused; triggers wait and never poll.")
    collectors: dict[Annotated[str, AfterValidator(check_id)], CollectorConfig] = Field(
        default={}, description="The collectors, each by its id."
    )
    storage: Storage = Field(default=Storage(), description="The original's storage; its max_log_events is used.")
    autosave: bool = Field(default=True, description="Save what clients change to the config file.")
    data_dir: str = Field(
        default="collector_data", min_length=1, description="Where events are kept; relative to the config file."
    )
    durability: Literal["process", "power"] = Field(
        default="process",
        description="Events answered 2xx survive a killed process, or (fsync before each answer) a power cut too.",
    )
    front_door: bool = Field(
        default=True, description="Answer usual POSTs of events before hypercorn does, several times as fast."
    )
    allowed_origins: tuple[Origin, ...] = Field(
        default=(), description="Web pages that may use the service, as https://dashboard.example; others get 403."
    )
    allowed_hosts: tuple[Host, ...] = Field(
        default=(), description="Names by which the service may be called, beside localhost and IP addresses."
    )
    spill_rows: int = Field(
        default=50_000, gt=0, description="A collector's rows that wait before they become a parquet part."
    )
    spill_bytes: int = Field(
        default=32_000_000, gt=0, description="Bytes of rows that wait before they become a parquet part."
    )
    evaluation_timeout: float = Field(default=600, gt=0, description="Seconds after which a report is given up.")
    fast_reports: bool = Field(
        default=True, description="Take shortcuts where they give the very text that Evidently gives."
    )
    evaluation_workers: int = Field(default=2, ge=1, le=64, description="Worker processes that compute reports.")
    evaluation_max_bytes: int = Field(
        default=4_000_000_000, gt=0, description="Bytes of memory that a worker process may take for a report."
    )
    worker_environment: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_ITEMS,
        description="Variables named with KEY, TOKEN, SECRET, PASSWORD or CREDENTIAL that reports of clients see, too.",
    )
    delivery_timeout: float = Field(
        default=300, gt=0, description="Seconds after which a try to deliver a snapshot is given up."
    )
    limits: Limits = Field(default=Limits(), description="What the service takes.")
    idempotency: Idempotency = Field(default=Idempotency(), description="How long repeated requests are known.")
    retention: Retention = Field(default=Retention(), description="What is kept of delivered batches.")
    kafka: Kafka | None = Field(
        default=None, description="The Kafka that collectors with `kafka` take their events from."
    )
    alerts: tuple[Alert, ...] = Field(
        default=(), max_length=MAX_RULES, description="Which changes are told to whom, without Prometheus."
    )
    external_url: WebAddress | None = Field(
        default=None, description="Where people reach this service, for the links in alerts."
    )
    ui_url: WebAddress | None = Field(
        default=None, description="Where people reach the Evidently UI, for the links in alerts."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_schema_key(cls, data: object) -> object:
        return {name: data[name] for name in data if name not in _SCHEMA_KEY} if isinstance(data, dict) else data

    @field_validator("collectors")
    @classmethod
    def _key_is_id(cls, collectors: dict[str, CollectorConfig]) -> dict[str, CollectorConfig]:
        return {key: config.model_copy(update={"id": key}) for key, config in collectors.items()}

    @model_validator(mode="after")
    def _topics_have_one_reader(self) -> Self:
        readers: dict[str, str] = {}
        for key, config in self.collectors.items():
            for topic in config.kafka.topics if config.kafka is not None else ():
                if self.kafka is None:
                    message = 'takes events from Kafka, but the file has no "kafka" with "bootstrap_servers"; add that'
                    raise at_fields(message, f"collectors.{key}.kafka")
                if topic in {self.kafka.ownership_topic, self.kafka.dead_letter_topic}:
                    raise at_fields(f"'{topic}' is the service's own topic", f"collectors.{key}.kafka.topics")
                if topic in readers:
                    message = f"'{topic}' is read by collector '{readers[topic]}'; a topic has one reader in a group"
                    raise at_fields(message, f"collectors.{key}.kafka.topics")
                readers[topic] = key
            for task in _tasks(config)[1:]:
                if task in self.collectors:
                    raise at_fields(
                        f"a task of this collector has the name '{task}', as another collector has; rename that one",
                        f"collectors.{key}.kafka",
                    )
        return self

    def find(self, collector_id: str) -> CollectorConfig | None:
        """Return the config of a collector, or of one of the tasks in which it is at work."""
        found = self.collectors.get(collector_id)
        whole = self.collectors.get(whole_of(collector_id)) if found is None else None
        if whole is None or collector_id not in _tasks(whole):
            return found
        return whole.model_copy(update={"id": collector_id})

    def at_work(self) -> dict[str, CollectorConfig]:
        """Return the config of each pipeline: of a collector, or of each of its tasks."""
        return {
            task: one if task == key else one.model_copy(update={"id": task})
            for key, one in self.collectors.items()
            for task in _tasks(one)
        }

    def with_collector(self, config: CollectorConfig) -> Self:
        """Return the same configuration with one collector added or replaced."""
        return self.model_copy(update={"collectors": {**self.collectors, config.id: config}})

    def without_collector(self, collector_id: str) -> Self:
        """Return the same configuration with one collector taken out."""
        left = {key: config for key, config in self.collectors.items() if key != collector_id}
        return self.model_copy(update={"collectors": left})

    def private_of(self, collector: CollectorConfig) -> Private | None:
        """Return what is done to the columns of a collector; one that follows another has that one's."""
        source = collector if collector.events_from is None else self.collectors.get(collector.events_from)
        return None if source is None or source.columns is None else source.columns.filled()

    def problems(self) -> list[Problem]:
        """Return what no single field shows: who can't follow whom, variables and extras that aren't there."""
        problems = following_problems(self.collectors)
        for key, collector in self.collectors.items():
            for look_up in (collector.secret, collector.columns.filled if collector.columns else bool):
                try:
                    look_up()
                except ConfigError as error:
                    problems += [problem.under("collectors", key) for problem in error.problems]
        try:
            problems += [] if self.kafka is None else self.kafka.lacking()
        except ConfigError as error:
            problems += error.problems
        return problems + problems_of(self.alerts)

    def unused(self) -> list[str]:
        """Name what is set and means nothing: the original's polling, and what a workspace or a report doesn't take."""
        named = ["check_interval"] if self.check_interval != 1 else []
        for key, config in self.collectors.items():
            if config.when_full != "refuse" and config.events_from is None:
                named.append(f"collectors.{key}.when_full")
            if getattr(config.trigger, "last_triggered", 0):
                named.append(f"collectors.{key}.trigger.last_triggered")
            if config.save_datasets and not config.takes_datasets:
                named.append(f"collectors.{key}.save_datasets")
            if config.dashboard and config.columns_max and config.report_config.generation == "legacy":
                named.append(f"collectors.{key}.dashboard")
        return named
