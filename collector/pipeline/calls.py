"""What worker processes run: functions by name, so that the daemon never imports what they are made of."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import Any

from collector.errors import EvaluationError


def prepare() -> None:
    """Make a new worker process quiet: no telemetry unless the user has decided about it, no warnings."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    warnings.simplefilter("ignore")  # what Evidently's code warns of at import is nothing to our user


def call(name: str, *args: Any) -> Any:
    """Call ``module:function``; raise EvaluationError if it would end the process, which would end the daemon."""
    module, _, function = name.partition(":")
    try:
        return getattr(import_module(module), function)(*args)
    except (SystemExit, KeyboardInterrupt) as error:
        raise EvaluationError(f"the worker was told to end: {error!r}") from error
