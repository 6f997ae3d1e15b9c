"""Families: the metrics by name, as configs/metrics.md lists them, made of the service's status and counts."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from collector.status.counts import LOGGED
from collector.status.segments import count_segments
from collector.status.status import State

if TYPE_CHECKING:
    from collections import Counter

    from collector.config import Limits
    from collector.status.counts import AlertCounts, CollectorCounts, Counts, GroupCounts, Histogram, KafkaCounts
    from collector.status.status import ServiceStatus, Status
    from collector.views.disk import Disk

PREFIX = "evidently_collector_"
DAMAGED_KINDS = ("frame", "journal", "part", "reference", "snapshot")

_Labels = tuple[str, ...]
_Values = Iterable[tuple[_Labels, float | None]]


@dataclass(frozen=True)
class Seen:
    """What a scrape is made of."""

    status: ServiceStatus
    counts: Counts
    limits: Limits
    disk: Disk
    workers_ended: Counter[str]
    evidently_version: str
    dropped_keys: Mapping[str, float] = field(default_factory=dict)


def write(seen: Seen, accept: str) -> tuple[bytes, str]:
    """Write all metrics, and those of the process, in the format that a client accepts; return it with its media type.

    For a thread: what counts by label may get another one meanwhile, so each is taken as a list first.
    """
    encode, media_type = choose_encoder(accept)
    return encode(_Gathered([*families(seen), *ProcessCollector(registry=None).collect()])), media_type


def families(seen: Seen) -> Iterator[Metric]:
    """Make all metrics; nothing but the rows of a table in the docs."""
    yield from _of_service(seen)
    yield from _of_requests(seen)
    yield from _of_alerts(seen.counts)
    each = [(status, seen.counts.of(status.id)) for status in seen.status.collectors]
    accepted = (((one.id,), one.rows_accepted) for one, _ in each)
    yield _counter("accepted_rows", "Rows of events that were answered 2xx.", ["collector"], accepted)
    for name, help_, of_status in _STATUS_GAUGES:
        yield _gauge(name, help_, ["collector"], (((one.id,), of_status(one)) for one, _ in each))
    for name, help_, of_counts in _COUNTERS:
        yield _counter(name, help_, ["collector"], (((one.id,), of_counts(counts)) for one, counts in each))
    for name, help_, label, of_status_by in _STATUS_GAUGES_BY:
        values = (((one.id, by), value) for one, _ in each for by, value in of_status_by(one).items())
        yield _gauge(name, help_, ["collector", label], values)
    yield _counter(
        "labels",
        "Labels that wait no longer, by what became of each; absent without labels in the config.",
        ["collector", "fate"],
        (((one.id, fate), rows) for one, _ in each if one.labels for fate, rows in one.labels["rows"].items()),
    )
    yield _counter(
        "logged",
        "Requests, responses and feedback that a model server has logged, by what became of each; absent without "
        "input in the config.",
        ["collector", "outcome"],
        (((one.id, name), (one.logged or {}).get(name)) for one, _ in each for name in LOGGED),
    )
    for name, help_, label, of_counts_by in _COUNTERS_BY:
        values = (((one.id, by), value) for one, counts in each for by, value in list(of_counts_by(counts).items()))
        yield _counter(name, help_, ["collector", label], values)
    of_kafka = [(one.id, counts.kafka) for one, counts in each if one.kafka and counts.kafka]
    yield from _of_kafka(of_kafka, each, seen.counts.group)
    for name, help_, of_counts_histogram in _HISTOGRAMS:
        histograms = (((one.id,), of_counts_histogram(counts)) for one, counts in each)
        yield _histogram(name, help_, ["collector"], histograms)
    yield _gauge(
        "metric_value",
        "Values of the last snapshot that the collector's export asks for.",
        ["collector", "metric", "column", "label"],
        (
            ((status.id, one["metric"], one["column"], one["label"]), one["value"])
            for status, counts in each
            for one in counts.exported
        ),
    )
    yield _gauge(
        "idempotency_dropped_key_age_seconds",
        "Age of the oldest Idempotency-Key when keys were last dropped early, by idempotency.max_keys; absent if none "
        "were.",
        ["collector"],
        (((one.id,), seen.dropped_keys.get(one.id)) for one, _ in each),
    )


def _of_service(seen: Seen) -> Iterator[Metric]:
    status, config, disk, limits = seen.status, seen.status.config, seen.disk, seen.limits
    build = {
        "version": status.version,
        "python_version": platform.python_version(),
        "evidently_version": seen.evidently_version,
    }
    yield InfoMetricFamily(PREFIX + "build", "The versions of the service, Python and Evidently.", build)
    for name, help_, value in (
        (
            "config_last_reload_successful",
            "1 if the config file is in force as it stands, 0 if its last edit was refused.",
            not config.error,
        ),
        (
            "config_last_reload_success_timestamp_seconds",
            "When the config that is in force was loaded, in Unix time.",
            config.loaded,
        ),
        (
            "config_needs_restart",
            "1 if the config file has a change that only a restart of the service takes in.",
            bool(config.needs_restart),
        ),
        (
            "disk_trouble",
            "1 while the disk refuses writes and events are answered 507, else 0.",
            bool(status.trouble),
        ),
        ("disk_free_bytes", "Room on the disk of the data directory.", disk.free),
        ("disk_size_bytes", "Size of the disk of the data directory.", disk.size),
    ):
        yield _gauge(name, help_, [], [((), value)])
    yield _gauge(
        "undelivered_limit_bytes",
        "Bytes of undelivered rows at which events are refused, for each collector and for all together.",
        ["scope"],
        [(("collector",), limits.max_collector_bytes), (("service",), limits.max_buffered_bytes)],
    )
    yield _gauge(
        "damaged_files",
        "Files that could not be read and were set aside under damaged/ in the data directory.",
        ["kind"],
        [((kind,), disk.damaged[kind]) for kind in DAMAGED_KINDS],
    )
    yield _counter(
        "worker_restarts",
        "Worker processes that died, or were killed as their work took too long or was no longer wanted.",
        ["reason"],
        (((reason,), count) for reason, count in list(seen.workers_ended.items())),
    )


def _of_kafka(
    each: Sequence[tuple[str, KafkaCounts]],
    statuses: Sequence[tuple[Status, CollectorCounts]],
    group: GroupCounts | None,
) -> Iterator[Metric]:
    """Make the metrics of collectors whose events come from Kafka, as this service knows them."""
    yield _gauge(
        "kafka_consumer_lag",
        "Messages of a partition that were not read yet, looked at every 10 s by the service that has the collector.",
        ["collector", "topic", "partition"],
        (((id_, topic, str(number)), lag) for id_, counts in each for (topic, number), lag in list(counts.lag.items())),
    )
    mismatches = (((one.id,), bool(one.kafka["mismatch"])) for one, _ in statuses if one.kafka)
    yield _gauge("kafka_config_mismatch", _MISMATCH, ["collector"], mismatches)
    if group is not None:
        owned = sum(one.kafka is not None and one.state != "standby" for one, _ in statuses)
        yield _gauge("kafka_members", _MEMBERS, [], [((), group.members)])
        yield _gauge("kafka_owned_tasks", _OWNED, [], [((), owned)])
        yield _counter("kafka_rebalances", _REBALANCES, [], [((), group.rebalances)])
    for name, help_, of_counts in _KAFKA_COUNTERS:
        yield _counter(name, help_, ["collector"], (((id_,), of_counts(counts)) for id_, counts in each))
    for name, help_, label, of_counts_by in _KAFKA_COUNTERS_BY:
        values = (((id_, by), value) for id_, counts in each for by, value in of_counts_by(counts).items())
        yield _counter(name, help_, ["collector", label], values)


def _of_alerts(counts: Counts) -> Iterator[Metric]:
    """Make the metrics of alert messages, by masked address, for all addresses configured since the start."""
    of_each = list(counts.alerts.items())
    for name, help_, of_counts in _ALERT_COUNTERS:
        yield _counter(name, help_, ["address"], (((address,), of_counts(one)) for address, one in of_each))
    waiting = (((address,), one.waiting) for address, one in of_each)
    yield _gauge("alerts_waiting", "Alert messages that wait to be sent.", ["address"], waiting)


def _of_requests(seen: Seen) -> Iterator[Metric]:
    counts, statuses = seen.counts, seen.status.collectors
    yield _counter(
        "http_requests",
        "Requests that were answered, by route (not path), method and status.",
        ["route", "method", "status"],
        (((kind.route, kind.method, str(kind.status)), count) for kind, count in list(counts.answered.items())),
    )
    yield _histogram(
        "http_request_duration_seconds",
        "Time from a request's head to its answer; its body arrives meanwhile.",
        ["route"],
        (((route,), histogram) for route, histogram in list(counts.answer_seconds.items())),
    )
    yield _counter(
        "refused_connections",
        "Connections over limits.max_connections, which were answered 503 and closed.",
        [],
        [((), counts.refused_connections)],
    )
    of_each = {status.id: counts.of(status.id).refused_requests for status in statuses}
    yield _counter(
        "refused_requests",
        "Requests with events that were answered with an error and kept nothing, by reason; "
        "without a collector where there is none of that name.",
        ["collector", "reason"],
        (
            ((id_, reason), count)
            for id_, refused in {**of_each, "": counts.refused_requests}.items()
            for reason, count in list(refused.items())
        ),
    )


def _last(name: str) -> Callable[[Status], float | None]:
    return lambda status: status.last_snapshot.get(name)


def _of_labels(name: str) -> Callable[[Status], float | None]:
    key = name.removesuffix("_timestamp_seconds")
    return lambda status: (status.labels or {}).get(key)


def _states(status: Status) -> Mapping[str, float]:
    return {state: state == status.state for state in get_args(State)}


def _batches(status: Status) -> Mapping[str, float]:
    return {"sealed": status.sealed, "evaluated": status.outbox, "failed": status.failed}


_ALERT_COUNTERS: tuple[tuple[str, str, Callable[[AlertCounts], float]], ...] = (
    ("alerts_sent", "Alert messages that their address has accepted.", lambda counts: counts.sent),
    (
        "alerts_failed",
        "Tries to send an alert message that failed; they are repeated.",
        lambda counts: counts.failed,
    ),
    (
        "alerts_dropped",
        "Alert messages that were given up: refused, or too many waited for one address.",
        lambda counts: counts.dropped,
    ),
)
_STATUS_GAUGES: tuple[tuple[str, str, Callable[[Status], float | None]], ...] = (
    ("open_rows", "Rows in the open batch, which wait for the trigger.", lambda status: status.rows_waiting),
    (
        "backfill_batches",
        "Batches of the past that are sealed or evaluated, and not delivered yet.",
        lambda status: status.backfill,
    ),
    (
        "undelivered_bytes",
        "Bytes of rows that are kept and not delivered yet, open, in batches and failed.",
        lambda status: status.bytes_buffered,
    ),
    (
        "trigger_next_timestamp_seconds",
        "When the trigger is due next, in Unix time; absent if only rows make it due.",
        lambda status: status.next_time,
    ),
    (
        "outbox_oldest_timestamp_seconds",
        "When the oldest batch whose snapshot waits for its workspace was sealed; absent if none waits.",
        lambda status: status.outbox_since,
    ),
    (
        "last_snapshot_timestamp_seconds",
        "When the last snapshot since the start was computed, in Unix time.",
        _last("time"),
    ),
    ("last_snapshot_rows", "Rows of the last snapshot.", _last("rows")),
    (
        "waiting_halves",
        "Requests that wait for their response, and responses for their request; absent without input.",
        lambda status: (status.logged or {}).get("halves"),
    ),
    (
        "last_snapshot_failed_metrics",
        "Metrics, tests, presets and descriptors of the last snapshot that could not be computed.",
        lambda status: status.last_snapshot.get("failed_metrics", 0) if status.last_snapshot else None,
    ),
    ("last_snapshot_columns", "Columns for which the last snapshot measured drift.", _last("columns")),
    ("last_snapshot_drifted_columns", "Columns that have drifted in the last snapshot.", _last("drifted_columns")),
    (
        "last_snapshot_drifted_ratio",
        "Share of columns that have drifted in the last snapshot, from 0 to 1.",
        _last("drift_share"),
    ),
)
_STATUS_GAUGES += (
    (
        "reference_rows",
        "Rows of the reference that was made of earlier rows or copied from a store; absent for any other.",
        lambda status: (status.reference or {}).get("rows"),
    ),
)
_STATUS_GAUGES += tuple(
    (f"labels_{name}", f"{help_}; absent without labels in the config.", _of_labels(name))
    for name, help_ in (
        ("waiting_batches", "Batches that wait for labels"),
        ("waiting_rows", "Rows with a key in batches that wait for labels"),
        ("labelled_rows", "Rows that have a label by now, in batches that wait for labels"),
        ("next_close_timestamp_seconds", "When the next batch that waits for labels is due, in Unix time"),
        ("bytes", "Bytes of labels, and of delivered events that wait for theirs"),
    )
)
_STATUS_GAUGES_BY: tuple[tuple[str, str, str, Callable[[Status], Mapping[str, float]]], ...] = (
    ("state", "1 for the state that the collector is in, 0 for all others.", "state", _states),
    (
        "batches",
        "Batches that are not delivered: sealed, evaluated (the outbox), or failed and kept until retried.",
        "state",
        _batches,
    ),
    (
        "last_snapshot_tests",
        "Tests of the last snapshot.",
        "outcome",
        lambda status: status.last_snapshot.get("tests", {}),
    ),
    (
        "last_snapshot_segments",
        "Segments of the last batch: good, bad, or skipped as too small for a report; absent without segments.",
        "outcome",
        lambda status: count_segments(status.last_snapshot.get("by_segment")),
    ),
)
_COUNTERS: tuple[tuple[str, str, Callable[[CollectorCounts], float | None]], ...] = (
    (
        "accepted_requests",
        "Requests with events that were answered 2xx, repeated ones too.",
        lambda counts: counts.accepted_requests,
    ),
    (
        "accepted_bytes",
        "Bytes of the bodies of requests with events that were answered 2xx, decompressed.",
        lambda counts: counts.accepted_bytes,
    ),
    (
        "skipped_rows",
        "Rows that a follower skipped because it had no room (when_full: skip).",
        lambda counts: counts.skipped_rows,
    ),
    ("delivered_rows", "Rows whose snapshot has reached its workspace.", lambda counts: counts.delivered_rows),
    (
        "damaged_rows",
        "Accepted rows that could not be read again, as the disk had damaged them, and are in no snapshot.",
        lambda counts: counts.damaged_rows,
    ),
    (
        "late_rows",
        "Rows that came after their window of event time was closed, and are in the next batch.",
        lambda counts: counts.late_rows,
    ),
    (
        "failed_metrics",
        "Metrics, tests, presets and descriptors that could not be computed, of all snapshots.",
        lambda counts: counts.failed_metrics,
    ),
    (
        "failed_segments",
        "Segments whose report failed, or whose snapshot was rejected, of all batches.",
        lambda counts: counts.failed_segments,
    ),
    ("pipeline_restarts", "Pipelines that failed and were restarted.", lambda counts: counts.restarts),
)
_COUNTERS_BY: tuple[tuple[str, str, str, Callable[[CollectorCounts], Mapping[str, float]]], ...] = (
    ("evaluations", "Tries to compute a report.", "outcome", lambda counts: counts.evaluations),
    ("deliveries", "Tries to deliver a snapshot.", "outcome", lambda counts: counts.deliveries),
    ("tests", "Tests of all snapshots.", "outcome", lambda counts: counts.tests),
)
_HISTOGRAMS: tuple[tuple[str, str, Callable[[CollectorCounts], Histogram]], ...] = (
    (
        "trigger_lateness_seconds",
        "Time from when an interval or a cron line was due until its batch was sealed.",
        lambda counts: counts.lateness,
    ),
    (
        "evaluation_duration_seconds",
        "Time that computing a report took, without waiting for a worker; those that failed are left out.",
        lambda counts: counts.evaluation,
    ),
    (
        "delivery_duration_seconds",
        "Time that a try to deliver a snapshot took, whatever came of it.",
        lambda counts: counts.delivery,
    ),
)


_MISMATCH = (
    "1 while the service where the collector is at work has another config for it than this service, or none, else 0."
)
_MEMBERS = "Services of the group that have a collector at work, looked at every 15 s."
_OWNED = "Collectors with events from Kafka, and their tasks, that are at work at this service."
_REBALANCES = "Times that the group gave collectors to this service, or took some away."
_KAFKA_COUNTERS: tuple[tuple[str, str, Callable[[KafkaCounts], float]], ...] = (
    ("kafka_takeovers", "Times that this service took the collector over.", lambda counts: counts.takeovers),
    (
        "kafka_reread_rows",
        "Rows of batches that were read again, as the service that had sealed them is gone.",
        lambda counts: counts.reread_rows,
    ),
    (
        "kafka_twins_removed",
        "Snapshots that were sent twice by a service that was frozen, and removed from the workspace.",
        lambda counts: counts.twins_removed,
    ),
    (
        "kafka_dead_letters",
        "Messages that were put into kafka.dead_letter_topic.",
        lambda counts: counts.dead_letters,
    ),
    (
        "kafka_skipped_offsets",
        "Offsets that the topic's retention had removed before they were read.",
        lambda counts: sum(list(counts.skipped_offsets.values())),
    ),
)
_KAFKA_COUNTERS_BY: tuple[tuple[str, str, str, Callable[[KafkaCounts], Mapping[str, float]]], ...] = (
    (
        "kafka_commits",
        "Commits of offsets: taken (ok), refused as another service has the collector (fenced), tried again (failed).",
        "outcome",
        lambda counts: counts.commits,
    ),
    (
        "kafka_rejected_messages",
        "Messages that aren't events and were left out.",
        "reason",
        lambda counts: counts.rejected,
    ),
)


def _gauge(name: str, help_: str, labels: list[str], values: _Values) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, help_, labels=labels), values)


def _counter(name: str, help_: str, labels: list[str], values: _Values) -> Metric:
    return _filled(CounterMetricFamily(PREFIX + name, help_, labels=labels), values)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, values: _Values) -> Metric:
    for labels, value in values:
        if value is not None:
            family.add_metric(labels, float(value))
    return family


def _histogram(name: str, help_: str, labels: list[str], histograms: Iterable[tuple[_Labels, Histogram]]) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, help_, labels=labels)
    for values, histogram in histograms:
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        family.add_metric(values, list(zip(bounds, histogram.cumulative(), strict=True)), histogram.sum)
    return family


class _Gathered(Collector):
    """Serves metrics in place of a registry: prometheus-client writes nothing else."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
