"""What passes between the daemon and a worker process: plain dicts, so that both sides can pickle and log them."""

from typing import Any, Literal, NotRequired, TypedDict, final

from collector.formats.private import Private
from collector.generation import Generation

Json = dict[str, Any]
Cast = Literal["untyped", "all", "none"]
# Names of metrics, or objects of their "type" with a "column" or "label".
Export = list[str | dict[Literal["type", "column", "label"], str]] | Literal["all"]
PathInConfig = list[str | int]
ClosedBy = Literal["share", "wait", "budget"]


class Problem(TypedDict):
    """One thing wrong with a collector's config; ``path`` leads to it from the collector's own keys.

    ``is_damage``: a file was sound and is no longer.
    """

    path: PathInConfig
    message: str
    is_damage: NotRequired[bool]


class Labelled(TypedDict):
    """Of a batch of the rows of another that have labels: how many rows that has and how many of them have one.

    ``closed_by`` is why no more were waited for; ``repeated`` rows have the key of another, ``replaced`` labels gave
    way to another of their key, and ``disputed`` keys have labels that differ, and none of them.
    """

    rows: int
    labelled_rows: int
    closed_by: ClosedBy
    repeated: int
    replaced: int
    disputed: int


class Job(TypedDict):
    """One sealed batch to evaluate.

    A reference that lacks any of ``label_columns`` can't be compared with rows that have them, and is left out.

    ``parts`` and ``reference`` are paths of parquet files, ``opened`` and ``sealed`` ISO 8601 times in UTC (the window
    that the batch's rows are of), ``snapshot_path`` is where the body to deliver goes. ``additional_data`` has the
    paths of further parquet files, by the names that metrics ask for them. ``is_posted``: a client has posted the
    report, which is computed without the secrets of our environment. ``timestamp_column``: the window is that of the
    events, as far as this column tells their times. ``where`` and ``segments`` are as in the config; ``segment`` is
    the one that a report is of, empty for the whole. ``awaits_reference``: why there is no reference yet, so that what
    needs one isn't wrong; of less than ``least_reference_rows`` that meet ``where`` there is none either. What a job
    needn't have means what the config's field does that isn't set: whoever compares with Evidently by hand writes the
    rest only.
    """

    collector: str
    batch_id: str
    report: NotRequired[str]
    report_config: Json
    data_definition: Json | None
    column_mapping: Json | None
    parts: list[str]
    reference: str | None
    additional_data: NotRequired[dict[str, str]]
    cache_reference: bool
    where: NotRequired[Json]
    segments: NotRequired[Json | None]
    segment: NotRequired[str]
    sample: Json | None
    cast: NotRequired[Cast]
    reuse_drift: bool
    fast_reports: NotRequired[bool]
    export: NotRequired[Export]
    opened: str
    sealed: str
    timestamp_column: NotRequired[str | None]
    snapshot_path: str
    save_datasets: bool
    is_posted: NotRequired[bool]
    private: NotRequired[Private | None]
    awaits_reference: NotRequired[str]
    least_reference_rows: NotRequired[int]
    labels: NotRequired[Labelled | None]
    label_columns: NotRequired[list[str] | None]


class DatasetFile(TypedDict):
    """A dataset to upload beside its snapshot; see ``datasets.encode`` for what the daemon fills in."""

    role: Literal["current", "reference"]
    name: str
    path: str
    url: str
    filename: str
    form: dict[str, str]
    params: dict[str, str]


class DriftOf(TypedDict):
    """A column that was asked for drift. Methods that give a p-value count downwards: less is more drift."""

    column: str
    is_drifted: bool
    score: float
    threshold: float
    method: str


class TestOf(TypedDict):
    """A test that didn't pass, with the value that it looked at and Evidently's own sentence."""

    name: str
    metric: str
    column: str
    status: Literal["failed", "error", "warning"]
    value: float | None
    said: str


class Value(TypedDict):
    """One number of one metric; ``label`` tells apart those that a metric has several of, else it is empty."""

    metric: str
    column: str
    label: str
    value: float


class NotComputed(TypedDict):
    """A metric, preset or descriptor without a value, or one that lacks the column; and the reason."""

    metric: str
    column: str
    reason: str


class Findings(TypedDict):
    """What a report found; each list has the first few only, and a column that is empty is none.

    ``drift`` has what drifted first, and what is furthest beyond its threshold before the rest. ``failed_tests`` has
    errors first, then those that failed, then warnings. ``values`` has those of all rows before those of a column.
    """

    drift: list[DriftOf]
    failed_tests: list[TestOf]
    not_computed: list[NotComputed]
    values: list[Value]


class Outcome(TypedDict):
    """What came of a job.

    ``report_id`` is a legacy report's own id, and the batch's id for a modern one; ``checksum`` is the CRC-32 of the
    snapshot's file. ``window`` is that of the events, in Unix seconds, if they tell it. ``dataset_drift`` is
    Evidently's own word on the drift of the whole. ``failed_metrics`` counts what could not be computed: metrics,
    tests, presets, descriptors; ``exported`` has the values that the config asks for. The ``notes`` have a sentence on
    each of what failed first, at most some fifty, and then on whatever else is to be known. ``rows`` are the batch's;
    where the report may be of fewer, ``matched_rows`` says of how many. One that ``awaits_reference`` is without what
    needs one. The report of the whole has the ``segments``,
    and the rows of those that are too small for a report, ``skipped_segments``.
    """

    ok: Literal[True]
    generation: Generation
    kind: Literal["Report", "TestSuite"]
    report_id: str
    rows: int
    drift_share: float | None
    drifted_columns: int | None
    columns: int | None
    dataset_drift: bool | None
    tests: dict[str, int]
    failed_metrics: int
    findings: Findings
    exported: NotRequired[list[Value]]
    notes: list[str]
    window: NotRequired[list[float]]
    datasets: list[DatasetFile]
    bytes: int
    checksum: int
    matched_rows: NotRequired[int]
    awaits_reference: NotRequired[bool]
    segments: NotRequired[list["SegmentOutcome | SegmentFailure"]]
    skipped_segments: NotRequired[dict[str, int]]


class SegmentOutcome(Outcome):
    """What came of the report of a segment, whose snapshot is in the ``file`` beside that of the whole."""

    segment: str
    file: str


class SegmentFailure(TypedDict):
    """A segment whose report raised; ``traceback`` is for the operator's log."""

    ok: Literal[False]
    segment: str
    matched_rows: int
    error: str
    traceback: str


class Rehearsal(TypedDict):
    """What a report could not compute of its own reference, and what was not tried, a sentence each."""

    failed: list[str]
    left_out: list[str]


class FalseAlarms(TypedDict):
    """Of batches drawn from a reference: how many, and in how many some column drifted; all their columns likewise."""

    draws: int
    draws_with_drift: int
    columns: int
    drifted: int


@final
class Failure(TypedDict):
    """An evaluation that raised: ``error`` is one line, ``traceback`` is for the operator's log."""

    ok: Literal[False]
    error: str
    traceback: str


@final
class Damage(TypedDict):
    """An evaluation that couldn't read these files: parts, or the reference. Nothing is wrong with the others."""

    ok: Literal[False]
    damaged: list[str]


@final
class NoRowsMatch(TypedDict):
    """None of a batch's ``rows_without_match`` rows meets the conditions: there is no report, and nothing is wrong.

    Or, if it says ``why``, all of the report needs a reference, and there is none yet.
    """

    ok: Literal[False]
    rows_without_match: int
    notes: list[str]
    why: NotRequired[str]


class Place(TypedDict):
    """A project in a directory workspace; exactly one of ``project_id`` and ``project_name`` is given."""

    directory: str
    project_id: str | None
    project_name: str | None
    collector: str


class Delivery(Place):
    """A snapshot to put into a directory workspace, in place of those of the batches that it ``replaces``."""

    generation: Generation
    snapshot_path: str
    snapshot_id: str
    replaces: list[str]


class NewProject(TypedDict):
    """A project that a directory workspace hasn't yet."""

    generation: Generation
    id: str
    name: str
