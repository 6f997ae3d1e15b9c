"""Messages: Alertmanager's body (version 4), which hooks understand already, and the same as text for people.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from collector.status.telling import iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.alerts.rules import Change
    from collector.config import CollectorServiceConfig

Json = dict[str, Any]

# As in configs/prometheus-rules.yml, so that routes and silences mean both.
NAMES = {
    "tests_failed": ("EvidentlyCollectorTestsFailed", "ticket"),
    "metric_failed": ("EvidentlyCollectorMetricsFailed", "ticket"),
    "drift": ("EvidentlyCollectorDrift", "ticket"),
    "batch_failed": ("EvidentlyCollectorBatchesFailed", "ticket"),
    "undelivered": ("EvidentlyCollectorNotDelivering", "page"),
    "no_events": ("EvidentlyCollectorNoEvents", "page"),
    "misconfigured": ("EvidentlyCollectorStuck", "page"),
    "skipped": ("EvidentlyCollectorSkipsEvents", "page"),
    "disk": ("EvidentlyCollectorDiskRefuses", "page"),
}
# The end that Alertmanager writes for an alert that still fires.
_NO_END = "0001-01-01T00:00:00Z"
_RECEIVER = "evidently-collector"
# The annotations that stand in the text for people.
_TOLD = frozenset({"rows", "window_start", "window_end", "failed_tests", "drift", "not_computed", "batch_id", "ui_url"})
# Characters in the subject of a mail, or in the first line of a chat message.
_MAX_TITLE = 200


@dataclass(frozen=True)
class Links:
    """Where people reach the service and the workspace's UI; empty: nobody has said."""

    service: str = ""
    ui: str = ""

    @classmethod
    def of(cls, config: CollectorServiceConfig) -> Links:
        """Return those that a config names."""
        return cls(config.external_url or "", config.ui_url or "")

    def to_collector(self, collector: str) -> str:
        """Return where one collector's page is."""
        path = f"/-/collectors/{quote(collector, safe='')}" if collector else "/"
        return f"{self.service}{path}" if self.service else ""

    def to_project(self, project_id: str | None) -> str:
        """Return where a project's snapshots are seen, as far as it is known."""
        return f"{self.ui}/projects/{quote(project_id, safe='')}" if self.ui and project_id else self.ui


def alert_of(change: Change, config: CollectorServiceConfig, now: float) -> Json:
    """Return one alert of a body."""
    state, links = change.state, Links.of(config)
    name, severity = NAMES[change.alert.when]
    labels = {"alertname": name, "severity": severity}
    if change.alert.columns:  # without it, a receiver would take two rules on different columns for one alert
        labels["columns"] = ", ".join(change.alert.columns)
    annotations = dict(state.said)
    if state.collector:
        labels["collector"] = state.collector
        labels |= {name: state.said[name] for name in ("report", "segment") if name in state.said}
        collector = config.find(state.collector)
        if ui := links.to_project(None if collector is None else collector.project_id):
            annotations["ui_url"] = ui
    return {
        "status": "resolved" if change.is_over else "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": iso(state.since),
        "endsAt": iso(now) if change.is_over else _NO_END,
        "generatorURL": links.to_collector(state.collector),
        "fingerprint": _fingerprint(labels),
    }


def body_of(alerts: Sequence[Json], collector: str, external_url: str | None) -> str:
    """Return the body of a message: all alerts of a collector that one address is told of."""
    group = {"collector": collector} if collector else {}
    return json.dumps(
        {
            "version": "4",
            "groupKey": f"{{}}:{{{', '.join(f'{name}={json.dumps(value)}' for name, value in group.items())}}}",
            "truncatedAlerts": 0,
            "status": "firing" if any(one["status"] == "firing" for one in alerts) else "resolved",
            "receiver": _RECEIVER,
            "groupLabels": group,
            "commonLabels": _common([one["labels"] for one in alerts]),
            "commonAnnotations": _common([one["annotations"] for one in alerts]),
            "externalURL": external_url or "",
            "alerts": list(alerts),
        },
        ensure_ascii=False,
    )


def body_for_test(external_url: str | None) -> str:
    """Return the body of a test message."""
    labels = {"alertname": "EvidentlyCollectorTest", "severity": "ticket"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "a test: messages of evidently-collector arrive here"},
        "startsAt": iso(time.time()),
        "endsAt": _NO_END,
        "generatorURL": external_url or "",
        "fingerprint": _fingerprint(labels),
    }
    return body_of([alert], "", external_url)


def is_firing(body: str) -> bool:
    """Tell whether a message is of anything that goes on."""
    return bool(json.loads(body)["status"] == "firing")


def text_of(body: str) -> tuple[str, str]:
    """Return the title and the text of a message for people, made of its body."""
    message = json.loads(body)
    alerts = message["alerts"]
    title = _line(alerts[0]) if len(alerts) == 1 else f"{_head(message)} {len(alerts)} alerts"
    lines = []
    for one in alerts:
        lines.append(_line(one))
        lines += [f"{name.replace('_', ' ')}: {text}" for name, text in one["annotations"].items() if name in _TOLD]
        lines += [one["generatorURL"]] if one["generatorURL"] else []
    return title[:_MAX_TITLE], "\n".join(lines)


def _line(alert: Json) -> str:
    return f"{'RESOLVED' if alert['status'] == 'resolved' else 'FIRING'} {alert['annotations']['summary']}"


def _head(message: Json) -> str:
    status = "RESOLVED" if message["status"] == "resolved" else "FIRING"
    return f"{status} {message['groupLabels'].get('collector', '')}".rstrip()


def _fingerprint(labels: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16]


def _common(all_of: list[dict[str, str]]) -> dict[str, str]:
    first, *others = all_of
    return {name: text for name, text in first.items() if all(one.get(name) == text for one in others)}
