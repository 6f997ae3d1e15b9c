"""What worker processes run: functions by name, so that the daemon never imports what they are made of."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def prepare() -> None:
    """Make a new worker process quiet: Evidently sends no telemetry unless the user has decided about it."""
    os.environ.setdefault("DO_NOT_TRACK", "1")


def call(name: str, *args: Any) -> Any:
    """Call ``module:function``."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)(*args)
