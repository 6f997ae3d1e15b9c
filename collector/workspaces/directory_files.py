"""Delivering into a directory workspace, where a running ``evidently ui`` (or ``legacy_ui``) picks files up by itself.

The UIs watch the directory, and by what they heed of its events a file must appear in one way: under its own name, at
once and whole. A rename inside the directory goes unseen (they look at where it came from), a file that grows is read
too early (and ends the legacy UI's watcher), and a stray name in ``snapshots`` makes the legacy UI answer 500.
So a file is written in the workspace's root, under a hidden name, and then linked to its place.
"""

import errno
import json
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from collector.dashboard import Placing, Tab
from collector.disk.files import sync_directory, written_beside
from collector.generation import Generation, apart
from collector.wording import first_line
from collector.workers.exchange import Delivery, Json, NewProject, Place

_METADATA = "metadata.json"
_DASHBOARD = "dashboard.json"
_SNAPSHOTS = "snapshots"
_NAMESPACE = uuid.UUID("5a1c3e0e-4f0b-5c55-9b3d-6a1f0c5e7d21")
_MAX_METADATA = 16_000_000
_MAX_DASHBOARD = 16_000_000  # some 300 collectors have this many bytes of panels
_TOO_LARGE = "more than a UI can show; give some of the collectors a project_name of their own"
# Seconds between tries to read a dashboard. The UI writes it in place, so a file that can't be read may be whole a
# moment later.
_PAUSES = (0.1, 0.4, 1.5)
_NOTHING: Json = {"tabs": [], "panels": []}
# The first key in the file of a snapshot, which differs by Evidently's generation.
_FIRST_KEY = re.compile(rb'\s*{\s*"(\w+)"')
_FIRST_KEYS: dict[bytes, Generation] = {b"report": "modern", b"id": "legacy"}
_BATCH_ID = b'"batch_id": "'
_HEAD = 16_384  # bytes at the start of a snapshot, which mostly hold its metadata
_SHARED_MODE = 0o644  # the UI may run as another user
_found_last: dict[tuple[Path, str], Path] = {}  # the folder in which a project was last found, by its name


def write_snapshot(delivery: Delivery, project_file: str = "") -> str | NewProject:
    """Put a snapshot into its project; returns the project's id.

    If there is no such project it is created with the ``project_file`` that is given; without one it returns what
    project that has to be of, and there is no snapshot yet. Doing it again, or by two processes at once, leaves one
    project with one such snapshot. Raises ValueError if it would do harm there, or ``project_id`` isn't a UUID; OSError
    if the directory can't be written.
    """
    root, generation = Path(delivery["directory"]), delivery["generation"]
    _make_directory(root)
    project_id, name = _project_of(root, delivery)
    folder = root / project_id
    _refuse_mixture(root, folder, generation)
    _make_directory(folder / _SNAPSHOTS)
    if not _is_project(folder):
        if not project_file:
            return {"generation": generation, "id": project_id, "name": name}
        _appear(root, folder / _METADATA, project_file.encode(), replacing=False)
    body = Path(delivery["snapshot_path"]).read_bytes()
    own = f"{_snapshot_id(delivery, body)}.json"
    _remove_replaced(folder / _SNAPSHOTS, delivery["replaces"], own)
    _appear(root, folder / _SNAPSHOTS / own, body, replacing=True)
    return project_id


def write_dashboard(place: Place, tab: Tab, is_asked: bool) -> bool:  # noqa: FBT001  (calls have no names)
    """Put a collector's panels into the dashboard of its project, which a running UI shows at its next request.

    Returns False if it was left as a person made it. Raises ValueError if there is no project, or its file is no
    dashboard; OSError if it can't be written.
    """
    root = Path(place["directory"])
    project_id, name = _project_of(root, place)
    path = root / project_id / _DASHBOARD
    if not (path.parent / _METADATA).exists():
        raise ValueError(f"it has no project {name!r} any more")
    placing = Placing(tab, is_asked=is_asked)
    while (wanted := placing.to_write(found := _dashboard_at(path))) is not None:
        # On one line: indenting takes 20 times as long, and the dashboard of 500 collectors is written 500 times.
        body = json.dumps(wanted).encode()
        if len(body) > _MAX_DASHBOARD:
            raise ValueError(f"{path} would be {len(body) / 1e6:.0f} MB, {_TOO_LARGE}")
        if found is _NOTHING:
            _appear(root, path, body, replacing=False)
        else:
            _replace(root, path, body, found)
    return not placing.is_left_alone


def _replace(root: Path, path: Path, body: bytes, known: object) -> None:
    """Put a dashboard in place of the known one, unless somebody has changed that by the time it is on the disk."""
    with written_beside(root, body, _SHARED_MODE) as scratch:
        if _dashboard_at(path) == known:
            scratch.replace(path)
    sync_directory(path.parent)


def _dashboard_at(path: Path) -> object:
    for pause in (*_PAUSES, None):
        try:
            return _parsed(_read(path, _MAX_DASHBOARD))
        except FileNotFoundError:
            return _NOTHING
        except ValueError as error:
            if pause is None:
                raise ValueError(f"{path} is damaged ({first_line(error)}); restore it, or move it away") from error
            time.sleep(pause)
    raise AssertionError("the last pause ends it")


@lru_cache(1)
def _parsed(body: bytes) -> object:
    """Parse a dashboard, which is read three times a collector; that of 500 takes 50 ms. Don't change the result."""
    return json.loads(body)


def generations_in(root: Path) -> set[Generation]:
    """Return the generations whose snapshots lie in a directory's projects, as far as these can be read."""
    return {generation for folder in _projects(root) if (generation := _generation_of(folder)) is not None}


def _refuse_mixture(root: Path, folder: Path, generation: Generation) -> None:
    """Refuse a second generation of snapshots: a UI that finds both in one directory shows no project at all."""
    own = _generation_of(folder)
    found = {own} if own is not None else generations_in(root)
    if found and generation not in found:
        others = "legacy" if generation == "modern" else "modern"
        raise ValueError(f"it holds {others} snapshots, and {apart(generation)} as api_url")


def _generation_of(project: Path) -> Generation | None:
    """Return the generation of a project's snapshots by how one of them begins; None if none can be read."""
    try:
        with os.scandir(project / _SNAPSHOTS) as files:
            first = next((Path(file.path) for file in files if file.name.endswith(".json")), None)
        begins = b"" if first is None else _read(first, 64)
    except OSError:
        return None
    found = _FIRST_KEY.match(begins)
    return _FIRST_KEYS.get(found[1]) if found else None


def _project_of(root: Path, place: Place) -> tuple[str, str]:
    """Return the project's id, and the name that it gets if it has to be created."""
    if place["project_id"] is not None:
        return _checked(place["project_id"]), place["collector"]
    name = str(place["project_name"])
    for folder in _found_last_and_all(root, name):
        with suppress(ValueError, OSError):  # somebody else's file
            if _name_of(folder) == name:
                _found_last[root, name] = folder
                return folder.name, name
    # the id depends on the name alone: two writers who both find no project make the same one
    return str(uuid.uuid5(_NAMESPACE, name)), name


def _found_last_and_all(root: Path, name: str) -> Iterator[Path]:
    """Yield the folder that last had this name, then all others: reading the projects of 500 collectors takes 30 ms."""
    if (root, name) in _found_last:
        yield _found_last[root, name]
    yield from _projects(root)


def _checked(project_id: str) -> str:
    try:
        return str(uuid.UUID(project_id))
    except ValueError as error:
        raise ValueError(f"project_id {project_id!r} isn't a UUID; give one, or a project_name instead") from error


def _projects(root: Path) -> list[Path]:
    """Return the folders that are named by an id, as projects are."""
    try:
        return sorted(folder for folder in root.iterdir() if _is_id(folder.name))
    except OSError:
        return []


def _is_id(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name.lower()
    except ValueError:
        return False


def _name_of(project: Path) -> str:
    """Return a project's name; raise ValueError if its file can't be read as one, OSError if it isn't there."""
    metadata = project / _METADATA
    try:
        return _name_in(json.loads(_read(metadata, _MAX_METADATA)))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileNotFoundError) and not metadata.is_symlink():
            raise
        why = getattr(error, "strerror", None) or (first_line(error) if isinstance(error, ValueError) else "too deep")
        raise ValueError(
            f"{metadata} is damaged ({why}); restore it, or move its folder away, and the project is created again"
        ) from error


def _read(path: Path, max_bytes: int) -> bytes:
    """Return the beginning of a file; raise OSError if it isn't a regular file: a pipe would wait for its writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "isn't a file", str(path))
        return os.read(descriptor, max_bytes)
    finally:
        os.close(descriptor)


def _name_in(project: object) -> str:
    if isinstance(project, dict) and isinstance(project.get("name"), str):
        return str(project["name"])
    raise ValueError("it has no name of a project")


def _is_project(folder: Path) -> bool:
    """Tell whether there is a project; raise ValueError if its file is damaged."""
    try:
        _name_of(folder)
    except FileNotFoundError:
        return False
    return True


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"{error.filename} isn't a directory; move it out of the way") from error


def _snapshot_id(delivery: Delivery, body: bytes) -> str:
    """Return the id under which the snapshot is filed; a legacy snapshot has its own."""
    return str(json.loads(body)["id"]) if delivery["generation"] == "legacy" else delivery["snapshot_id"]


def _remove_replaced(snapshots: Path, batch_ids: list[str], spared: str) -> None:
    """Remove the snapshots of these batches, found by the batch id in their metadata; harmless if done twice."""
    named = [_BATCH_ID + f'{batch_id}"'.encode() for batch_id in batch_ids]
    for path in sorted(snapshots.glob("*.json")) if named else ():
        if path.name != spared and any(name in _with_metadata(path) for name in named):
            path.unlink(missing_ok=True)


def _with_metadata(path: Path) -> bytes:
    """Read a snapshot up to its batch id: the rest is a hundred times as long, and there may be thousands of files."""
    with path.open("rb") as file:
        begins = file.read(_HEAD)
        return begins if _BATCH_ID in begins else begins + file.read()


def _appear(root: Path, path: Path, body: bytes, *, replacing: bool) -> None:
    """Give ``path`` its content in one step that the UIs notice; ``replacing`` allows it to replace a file."""
    with written_beside(root, body, _SHARED_MODE) as scratch:
        try:
            os.link(scratch, path)
        except OSError as error:  # the file is there already, or the file system has no links
            if replacing or not isinstance(error, FileExistsError):
                scratch.replace(path)
                _write_first_byte_again(path, body)
    sync_directory(path.parent)


def _write_first_byte_again(path: Path, body: bytes) -> None:
    """Make the UIs notice a file that came by a rename; a touch isn't enough. They always read the whole content."""
    with path.open("r+b") as file:
        file.write(body[:1])
