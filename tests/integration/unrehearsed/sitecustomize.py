"""Has a daemon load the file beside this one where it would load what rehearses reports."""

import sys
from importlib.util import spec_from_file_location
from pathlib import Path

REPLACED = "collector.pipeline.rehearsing"


class Finder:
    @staticmethod
    def find_spec(name, *_):
        return spec_from_file_location(name, Path(__file__).with_name("rehearsing.py")) if name == REPLACED else None


sys.meta_path.insert(0, Finder)
