"""Keeping other people's warnings off the terminal, which belongs to the daemon's own view."""

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Swallow warnings and root log records of third parties; errors pass.

    Evidently logs with ``logging.warning``, which hangs a handler on stderr the first time, unless there is one.
    """
    root, silence = logging.getLogger(), logging.NullHandler()
    root.addHandler(silence)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silence)
