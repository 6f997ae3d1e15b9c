"""Put first on a service's path: its workers take the module beside this one for all that knows Evidently."""

import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

NAME = "collector.evaluation.worker"


class Finder:
    def find_spec(self, name, *_):
        file = str(Path(__file__).with_name("worker.py"))
        return ModuleSpec(NAME, SourceFileLoader(NAME, file), origin=file) if name == NAME else None


sys.meta_path.insert(0, Finder())
