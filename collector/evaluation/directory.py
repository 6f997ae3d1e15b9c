"""Delivering into a directory workspace, where a running ``evidently ui`` (or ``legacy_ui``) picks files up by itself.

The UIs watch the directory, and by what they heed of its events a file must appear in one way: under its own name, at
once and whole. A rename inside the directory goes unseen (they look at where it came from), a file that grows is read
too early (and ends the legacy UI's watcher), and a stray name in ``snapshots`` makes the legacy UI answer 500.
So a file is written in the workspace's root, under a hidden name, and then linked to its place.
"""

import json
import os
import uuid
from pathlib import Path

from evidently._pydantic_compat import ValidationError
from evidently.legacy.ui.base import Project as LegacyProject
from evidently.legacy.utils import NumpyEncoder
from evidently.sdk.models import ProjectModel

from collector.disk.files import sync_directory, written_beside
from collector.generation import Generation
from collector.workers.exchange import Delivery, Json

_METADATA = "metadata.json"
_SNAPSHOTS = "snapshots"
_NAMESPACE = uuid.UUID("5a1c3e0e-4f0b-5c55-9b3d-6a1f0c5e7d21")
_PROJECTS = {"modern": ProjectModel, "legacy": LegacyProject}
_SHARED_MODE = 0o644  # the UI may run as another user


def write_snapshot(delivery: Delivery) -> str:
    """Put a snapshot into its project, which is created if need be; returns the project's id.

    Doing it again, or by two processes at once, leaves one project with one such snapshot. Raises ValueError if
    ``project_id`` is no UUID, OSError if the directory can't be written.
    """
    root = Path(delivery["directory"])
    root.mkdir(parents=True, exist_ok=True)
    project_id, name = _project_of(root, delivery)
    folder = root / project_id
    _create_project(folder, name, delivery["generation"])
    body = Path(delivery["snapshot_path"]).read_bytes()
    _appear(root, folder / _SNAPSHOTS / f"{_snapshot_id(delivery, body)}.json", body, replacing=True)
    return project_id


def _project_of(root: Path, delivery: Delivery) -> tuple[str, str]:
    """Return the project's id, and its name in case that it is to be created."""
    if delivery["project_id"] is not None:
        return _checked(delivery["project_id"]), delivery["collector"]
    name = str(delivery["project_name"])
    existing = [path.parent.name for path in sorted(root.glob(f"*/{_METADATA}")) if _is_project(path, name)]
    # By name alone, so that two writers who both find none create the same one.
    return (existing[0] if existing else str(uuid.uuid5(_NAMESPACE, name))), name


def _checked(project_id: str) -> str:
    try:
        return str(uuid.UUID(project_id))
    except ValueError as error:
        raise ValueError(f"project_id {project_id!r} is no UUID; give one, or a project_name instead") from error


def _is_project(metadata: Path, name: str) -> bool:
    """Tell whether this is the file of a project of that name; its folder's name is its id."""
    folder = metadata.parent.name
    try:
        is_id = str(uuid.UUID(folder)) == folder.lower()
        return is_id and ProjectModel.parse_raw(metadata.read_bytes()).name == name
    except (ValueError, ValidationError):  # somebody else's folder or file
        return False


def _create_project(folder: Path, name: str, generation: Generation) -> None:
    (folder / _SNAPSHOTS).mkdir(parents=True, exist_ok=True)
    if not (folder / _METADATA).exists():
        project = _PROJECTS[generation](id=uuid.UUID(folder.name), name=name)
        _appear(folder.parent, folder / _METADATA, _encoded(project.dict()), replacing=False)


def _encoded(body: Json) -> bytes:
    return json.dumps(body, indent=2, cls=NumpyEncoder).encode()


def _snapshot_id(delivery: Delivery, body: bytes) -> str:
    """Return the id under which the snapshot is filed: a legacy one brings its own, a modern one is the batch's."""
    return str(json.loads(body)["id"]) if delivery["generation"] == "legacy" else delivery["batch_id"]


def _appear(root: Path, path: Path, body: bytes, *, replacing: bool) -> None:
    """Give ``path`` its content in one step that the UIs notice; a file that is there already may be replaced."""
    with written_beside(root, body, _SHARED_MODE) as scratch:
        try:
            os.link(scratch, path)
        except OSError as error:  # there is one already, or a file system has no links
            if replacing or not isinstance(error, FileExistsError):
                scratch.replace(path)
                _write_first_byte_again(path, body)
    sync_directory(path.parent)


def _write_first_byte_again(path: Path, body: bytes) -> None:
    """Make the UIs see a file that came by a rename. A touch is not enough; and what they read is always whole."""
    with path.open("r+b") as file:
        file.write(body[:1])
