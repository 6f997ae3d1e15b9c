"""What the operator wants, as frozen values: collectors, triggers, reports, and the file that holds them."""

from collector.config.alerts import Alert
from collector.config.labels import Labels
from collector.config.limits import Idempotency, Limits, Retention, Storage
from collector.config.model import CONFIG_PATH, CollectorConfig, CollectorServiceConfig, Sample
from collector.config.report import ReportConfig
from collector.config.triggers import (
    CronTrigger,
    EventTimeTrigger,
    IntervalTrigger,
    RowsCountOrIntervalTrigger,
    RowsCountTrigger,
    Trigger,
)

__all__ = [
    "CONFIG_PATH",
    "Alert",
    "CollectorConfig",
    "CollectorServiceConfig",
    "CronTrigger",
    "EventTimeTrigger",
    "Idempotency",
    "IntervalTrigger",
    "Labels",
    "Limits",
    "ReportConfig",
    "Retention",
    "RowsCountOrIntervalTrigger",
    "RowsCountTrigger",
    "Sample",
    "Storage",
    "Trigger",
]
