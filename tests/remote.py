"""What test_workers has worker processes run, in place of Evidently; only importable by name."""

import atexit
import errno
import json
import os
import sys
import time
from pathlib import Path

time.sleep(float(os.environ.get("SECONDS_TO_LOAD", "0")))


def warm_up():
    return {"evidently": "0.0.test"}


def check(report_config, data_definition, column_mapping):
    given = [report_config["metrics"], data_definition, column_mapping]
    return [{"path": ["report_config", "metrics", 0], "message": f"{given} in {os.getpid()}"}]


def check_reference(path):
    if Path(path).is_fifo():
        Path(path).read_bytes()  # it takes until nobody writes any more
    return [] if Path(path).exists() else [{"path": ["reference_path"], "message": f"no file {path}"}]


def evaluate(job):
    """Do what the job says: ``{"do": ..., "mark": path}``; the mark is made once it has begun."""
    if "mark" in job:
        Path(job["mark"]).write_text(str(os.getpid()), encoding="utf-8")
    return _DOING[job["do"]]()


def rehearse(job):
    return {"failed": [str(os.getpid()), str(os.nice(0))], "left_out": []}


def project_file(project):
    return json.dumps(project | {"written_by": os.getpid()})


def strip_widgets(path):
    if "legacy" in path:
        raise ValueError("a legacy snapshot has no widgets to leave out")
    Path(path).write_text("stripped", encoding="utf-8")
    return 1


def link_datasets(path, ids):
    Path(path).write_text(str(ids), encoding="utf-8")
    return 2


def die_of(*_):
    os._exit(7)


def _find_no_room():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _end_late():
    atexit.register(time.sleep, 600)
    return {"ok": True, "pid": os.getpid()}


_DOING = {
    "environment": lambda: {"ok": True, "names": list(os.environ)},
    "well": lambda: {"ok": True, "pid": os.getpid(), "telemetry": os.environ.get("DO_NOT_TRACK")},
    "fail": lambda: {"ok": False, "error": "ValueError: bad column", "traceback": "Traceback ..."},
    "die": lambda: os._exit(7),
    "end late": _end_late,
    "hang": lambda: time.sleep(600),
    "exit": lambda: sys.exit(3),
    "damage": lambda: {"ok": False, "damaged": ["a.parquet", "b.parquet"]},
    "full": _find_no_room,
    "memory": lambda: bytearray(10**12),
}
