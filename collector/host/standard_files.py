"""Standard input, output and error, which whoever starts us may have closed, or have set up for ASCII alone."""

from __future__ import annotations

import io
import os
import sys


def open_standard_files() -> None:
    """Have those that are closed lead nowhere: the next file that is opened would take their place, a journal say."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            # open takes the lowest free descriptor, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")  # what the encoding of the terminal lacks, as ● or …, is ?
