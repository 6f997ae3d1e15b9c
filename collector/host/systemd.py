"""What systemd is told, if it started us with ``Type=notify``: https://www.freedesktop.org/software/systemd/man/sd_notify.html."""

from __future__ import annotations

import os
import socket
import time

import structlog

_log = structlog.get_logger()


def notify_ready(status: str = "") -> None:
    """Say that events are accepted, or that a reload is done; ``status`` is shown by ``systemctl status``."""
    _notify("READY=1", *([f"STATUS={status}"] if status else []))


def notify_reloading() -> None:
    """Say that the config is being read again; ``notify_ready`` follows, whatever came of it."""
    _notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def notify_stopping() -> None:
    """Tell systemd that the service answers the requests in flight, and then ends."""
    _notify("STOPPING=1", "STATUS=stopping")


def _notify(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.setblocking(False)  # a manager that doesn't read must not hold up the events
        try:
            manager.sendto("\n".join(lines).encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            _log.warning("systemd can't be told the state of the service", error=str(error), told=lines[0])
