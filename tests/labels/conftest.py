"""What the tests of labels share: parts of rows, and their files."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from collector.formats.frames import decode_frames
from collector.labels.exchange import BatchFiles, Keying, LabelFile, Wanted
from collector.labels.indexing import index_batch
from collector.labels.joining import join
from collector.store.parts import write

KEYING = Keying("id", 7)


@dataclass
class Parts:
    """Writes parts of JSON records, and joins what it has written."""

    base: Path
    count: int = 0

    def path(self):
        self.count += 1
        return str(self.base / f"{self.count}")

    def write(self, *frames):
        path = f"{self.path()}.parquet"
        write(decode_frames(("json", json.dumps(rows).encode()) for rows in frames), Path(path))
        return path

    def batch(self, *parts):
        """Index a batch of parts, each a list of records."""
        paths = [part if isinstance(part, str) else self.write(part) for part in parts]
        keys = self.path()
        index_batch(paths, KEYING, keys)
        return BatchFiles(paths, keys)

    def labels(self, *parts):
        return [LabelFile(self.write(part), f"{self.path()}.keys") for part in parts]

    def join(self, batch, labels, on_duplicate="last", columns=("label",)):
        return join(batch, labels, KEYING, Wanted(columns, on_duplicate), self.path())


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path)
