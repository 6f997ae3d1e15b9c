"""The data directory: who holds it, and where things lie in it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
import uuid6

from collector.config.labels import LABELS
from collector.disk.checksums import file_checksum
from collector.errors import DataDirError
from collector.formats.stored import body_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from collector.formats.stored import StoredBody

_log = structlog.get_logger()

KEPT_REFERENCES = 2


@dataclass(frozen=True)
class DataDir:
    """The places in a data directory; parts are named by their path in it."""

    path: Path

    @property
    def journal(self) -> Path:
        """The SQLite database."""
        return self.path / "journal.sqlite3"

    @property
    def journal_mark(self) -> Path:
        """The path of a file that marks the journal as broken, so that the next start recovers what is sound."""
        return self.path / "journal.sqlite3-broken"

    def damaged(self, name: str) -> Path:
        """Where something that can't be read any more is set aside."""
        return _made(self.path / "damaged") / name

    def damaged_frame(self, collector: str, seq: int, format_: str) -> Path:
        """Where the body of a frame is set aside."""
        return self.damaged(f"frame-{_file_name(str(collector))}-{seq}.{quote(str(format_), safe='')[:20]}")

    def set_aside(self, path: Path, kind: str) -> Path | None:
        """Move a damaged file away, under a name that says what it was; None if it isn't there."""
        target = self.damaged(f"{kind}-{path.name}")
        try:
            path.rename(target)
        except FileNotFoundError:
            return None
        return target

    def set_aside_reference(self, path: Path) -> Path | None:
        """Move a damaged reference away if it is one of our own; None, and nothing done, if it is the user's."""
        return self.set_aside(path, "reference") if self.is_own_reference(path) else None

    def is_own_reference(self, path: Path) -> bool:
        """Tell whether a reference is one that a client sent, and not the user's."""
        return path.resolve().parent == (self.path / "references").resolve()

    def is_snapshot_sound(self, snapshot: Path, checksum: int | None) -> bool:
        """Tell whether a snapshot's file is as it was written; ``checksum`` is None for snapshots of older versions."""
        if not snapshot.exists():
            return False
        return checksum is None or file_checksum(snapshot) == checksum

    def new_part(self) -> str:
        """Name a part that isn't there yet."""
        return f"parts/{uuid6.uuid7()}.parquet"

    def new_join(self, batch_id: str) -> str:
        """Name the parts that a join makes of a batch, without their endings; names sort by time."""
        return f"parts/{batch_id}.{uuid6.uuid7()}"

    def joined_parts(self, batch_id: str) -> list[str]:
        """Name the parts of the last join that made some for a batch, in their order; delivered ones left out."""
        found = [path for path in self.parts() if f"/{batch_id}." in path and not self.is_delivered(path)]
        last = max((_join_of(path) for path in found), default="")
        mine = [path for path in found if _join_of(path) == last]
        return sorted(mine, key=lambda path: int(path.removesuffix(".parquet").rpartition("-")[2]))

    def parts_called(self, names: Iterable[str]) -> list[str]:
        """Return the paths of the parts that have these names, in whatever directory they are."""
        return [path for path in self.parts() if path.rpartition("/")[2] in set(names)]

    def new_keys(self) -> str:
        """Return a new name for files of keys, without their endings."""
        return f"{LABELS}/{uuid6.uuid7()}"

    def remove_keys(self, names: Iterable[str]) -> None:
        """Remove files of keys, or others that can be made again, those that are there."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def key_files(self, ending: str) -> list[Path]:
        """Return the files of keys that have an ending."""
        return sorted((self.path / LABELS).glob(f"*.{ending}"))

    def remove_stray_keys(self, known: set[str]) -> None:
        """Remove files of keys that a crash left behind; all of them can be made again."""
        found = {f"{LABELS}/{path.name}" for path in (self.path / LABELS).glob("*")}
        self.remove_keys(found - known)

    def body(self, place: str) -> StoredBody:
        """Return a body that is too large for the journal; raise as body_at does."""
        return body_at(place, self.path / "bodies")

    def body_file(self, name: str) -> Path:
        """Return the path of a file of large bodies."""
        return self.path / "bodies" / Path(name).name

    def body_files(self) -> list[Path]:
        """Return all files of large bodies."""
        return sorted((self.path / "bodies").glob("*"))

    def new_body_file(self, format_: str) -> Path:
        """Return the path of a new file of large bodies; its name ends with the format of the bodies."""
        return self.body_file(f"{uuid6.uuid7()}.{format_}")

    def remove_body_files(self, names: Iterable[str]) -> None:
        """Remove files of bodies that the journal has dropped; if that fails, the next start does it."""
        for name in names:
            try:
                self.body_file(name).unlink(missing_ok=True)
            except OSError as error:
                _log.warning(
                    "a file of bodies that isn't needed any more can't be removed", body=name, error=str(error)
                )

    def snapshot(self, batch_id: str) -> Path:
        """Return the path at which the snapshot of a batch waits for delivery."""
        return self.path / "snapshots" / f"{batch_id}.json"

    def failed(self, batch_id: str) -> Path:
        """Return the folder of a batch whose report failed."""
        return self.path / "failed" / batch_id

    def new_reference(self, collector: str) -> Path:
        """Return the path of a new reference of a collector; names sort by time."""
        return self.path / "references" / f"{_file_name(collector)}-{uuid6.uuid7()}.parquet"

    def remove_references(self, collector: str, spared: Path | None = None, kept: int = KEPT_REFERENCES) -> None:
        """Remove all but ``spared`` and the newest; a running report may still read the one before."""
        mine = sorted((self.path / "references").glob(f"{_file_name(collector)}-{'?' * 36}.parquet"))
        for path in mine[: max(0, len(mine) - kept)]:
            if path != spared:
                path.unlink(missing_ok=True)

    def made_reference(self, source: str, version: str) -> str:
        """Return the path of a reference that the service makes, which is always the same for the same contents."""
        return f"references/made-{uuid.uuid5(uuid.NAMESPACE_URL, f'{source} {version}')}.parquet"

    def stray_references(self, known: set[str]) -> list[str]:
        """Name references that were made and that the journal doesn't know."""
        found = {_relative(path, self.path) for path in (self.path / "references").glob("made-*.parquet")}
        return sorted(found - known)

    def mark_delivered(self, parts: list[str]) -> None:
        """Mark parts as delivered, by making them read-only, in case the journal is lost."""
        for part in parts:
            with suppress(FileNotFoundError):
                (self.path / part).chmod(0o400)

    def parts(self) -> list[str]:
        """Name all parts that are there."""
        found = [*self.path.glob("parts/*.parquet"), *self.path.glob("failed/*/*.parquet")]
        return sorted(_relative(path, self.path) for path in found if path.is_file())

    def delivered_parts(self) -> list[str]:
        """Return the parts that are marked as delivered."""
        return [part for part in self.parts() if self.is_delivered(part)]

    def is_delivered(self, part: str) -> bool:
        """Tell whether a part is marked as delivered."""
        path = self.path / part
        return path.exists() and not path.stat().st_mode & stat.S_IWUSR

    def remove_batches(self, parts: list[str], batch_ids: list[str]) -> None:
        """Remove the parts and snapshots of batches that the journal has dropped."""
        self.remove(parts)
        for batch_id in batch_ids:
            self.remove_snapshot(batch_id)

    def remove(self, parts: list[str]) -> None:
        """Remove parts that the journal has dropped, and the folder of a failed batch with its last part."""
        for part in parts:
            path = self.path / part
            path.unlink(missing_ok=True)
            if path.parent.parent.name == "failed":
                _remove_without_parts(path.parent)

    def remove_failed(self, batch_id: str) -> None:
        """Remove the folder of a failed batch, its parts being elsewhere."""
        if self.failed(batch_id).exists():
            _remove_without_parts(self.failed(batch_id))

    def remove_snapshot(self, batch_id: str) -> None:
        """Remove a snapshot, and the datasets beside it."""
        for path in (self.path / "snapshots").glob(f"{batch_id}.*"):
            path.unlink()

    def remove_orphans(self, parts: set[str], snapshots: set[str], bodies: set[str]) -> list[Path]:
        """Remove what a crash left behind: files that the journal doesn't know; return their paths."""
        orphans = [
            *(path for path in (self.path / "parts").iterdir() if f"parts/{path.name}" not in parts),
            *(path for path in self.body_files() if path.name not in bodies),
            *self.path.glob("*.tmp"),
            *(path for path in (self.path / "failed").glob("*/*.parquet") if _relative(path, self.path) not in parts),
            *(self.path / "references").glob("*.tmp"),
            *(path for path in (self.path / "snapshots").iterdir() if path.name.split(".")[0] not in snapshots),
        ]
        orphans = [path for path in orphans if not path.is_dir()]  # we make no directories there
        for path in orphans:
            path.unlink()
        for folder in (self.path / "failed").iterdir():
            _remove_without_parts(folder)
        return orphans


@contextmanager
def open_data_dir(path: Path) -> Iterator[DataDir]:
    """Hold a data directory, making it if there is none, mode 0700; raise DataDirError if another daemon holds it."""
    try:
        make_directories(path)
        descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataDirError(f"the data directory {path} can't be used: {error.strerror}") from error
    try:
        _lock(descriptor, path)
        yield DataDir(path)
    finally:
        os.close(descriptor)


def make_directories(path: Path) -> None:
    """Make a data directory and the directories in it, those that aren't there, all of them ours alone."""
    names = ("parts", "bodies", "snapshots", "failed", "references", LABELS)
    for directory in (path, *(path / name for name in names)):
        _made(directory).chmod(0o700)  # one that an administrator made may be open to everyone


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataDirError(
            f"another collector already works in {path}; stop it, or give this one a data_dir of its own"
        ) from error


def _join_of(part: str) -> str:
    """Return the id of the join that made a part."""
    return part.rpartition("/")[2].rpartition("-")[0]


def _remove_without_parts(folder: Path) -> None:
    """Remove the folder of a failed batch once its parts are gone."""
    if folder.is_dir() and {path.name for path in folder.iterdir()} <= {"error.txt"}:
        (folder / "error.txt").unlink(missing_ok=True)
        folder.rmdir()


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def _file_name(collector: str) -> str:
    """Return a name for a collector's files: readable, short enough for any file system, and no other collector's."""
    return f"{quote(collector, safe='')[:60]}-{hashlib.sha256(collector.encode()).hexdigest()[:12]}"
