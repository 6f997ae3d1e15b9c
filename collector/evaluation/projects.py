"""The file of a new project in a directory workspace, as Evidently would write it."""

import json
from uuid import UUID

from evidently.legacy.ui.base import Project as LegacyProject
from evidently.legacy.utils import NumpyEncoder
from evidently.sdk.models import ProjectModel

from collector.workers.exchange import NewProject

_PROJECTS = {"modern": ProjectModel, "legacy": LegacyProject}


def project_file(project: NewProject) -> str:
    """Return the JSON of a project that is to be created."""
    made = _PROJECTS[project["generation"]](id=UUID(project["id"]), name=project["name"])
    return json.dumps(made.dict(), cls=NumpyEncoder)
