"""Has a process load the file beside this one that STAND_IN names where it would load what that stands in for."""

import os
import sys
from importlib.util import spec_from_file_location
from pathlib import Path

STAND_IN = os.environ["STAND_IN"]
REPLACED = {"tally": "collector.evaluation.worker", "unrehearsed": "collector.pipeline.rehearsing"}[STAND_IN]


class Finder:
    @staticmethod
    def find_spec(name, *_):
        return spec_from_file_location(name, Path(__file__).with_name(f"{STAND_IN}.py")) if name == REPLACED else None


sys.meta_path.insert(0, Finder)
