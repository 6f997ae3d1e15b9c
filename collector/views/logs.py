"""Logs: a line an event, on standard error."""

from __future__ import annotations

import sys

import structlog


def set_up_logs() -> None:
    """Write structured lines to standard error, in colours if it is a terminal."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
