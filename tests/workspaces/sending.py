"""What the tests of workspaces share: a service that takes everything, and what sends a snapshot there."""

from contextlib import asynccontextmanager, contextmanager

import trio
from worlds import FakeService, FakeWorkers, collector, outcome_of

from collector.workspaces.outgoing import Outgoing
from collector.workspaces.progress import Progress
from collector.workspaces.workspace import open_workspaces

PROJECT = "018f0000-0000-7000-8000-00000000000a"
SEARCH = ("GET", "/api/projects/search/project")
MAKE = ("POST", "/api/v2/projects")
SEND = ("POST", f"/api/v2/snapshots/{PROJECT}")
LIST = ("GET", f"/api/projects/{PROJECT}/snapshots")
LEGACY_SEND = ("POST", f"/api/projects/{PROJECT}/snapshots")
UPLOAD = ("POST", "/api/datasets")


@contextmanager
def running_service():
    """Run a service that takes everything."""
    with FakeService() as service:
        service.answers = {
            SEARCH: (200, [], {}),
            MAKE: (200, PROJECT, {}),
            SEND: (200, {"snapshot_id": "made there"}, {}),
            LIST: (200, [], {}),
            LEGACY_SEND: (200, {}, {}),
            UPLOAD: (200, {"dataset_id": "d1"}, {}),
        }
        yield service


@asynccontextmanager
async def delivering(snapshot, workers=None, replaces=()):
    """Return what delivers the snapshot of a batch, going on from what was kept at the try before."""
    kept, opened = [], {}

    async def keep(progress):
        await trio.lowlevel.checkpoint()
        kept.append(progress)

    async with open_workspaces(workers or FakeWorkers(), snapshot.parent) as workspaces:

        async def deliver(config, generation="modern", *, is_doubtful=False, datasets=(), segment=""):
            outcome = outcome_of([], generation) | {"datasets": list(datasets)}
            outgoing = Outgoing("batch-1", "batch-1", segment, snapshot, outcome, replaces)
            progress = Progress(keep, **(kept[-1] if kept else {"is_doubtful": is_doubtful}))
            workspace = opened.setdefault((repr(config), config.api_secret), workspaces.open_workspace(config))
            await workspace.deliver(outgoing, progress)

        deliver.kept = kept
        yield deliver


def to(service, **fields):
    return collector(api_url=service.url, project_id=PROJECT, project_name=None, **fields)


def by_name(service, **fields):
    return collector(api_url=service.url, project_name="project", **fields)


def cloud(service, secret="sk_a.b.c"):
    return to(service, is_cloud=True, api_secret=secret, save_datasets=True)


def dataset(tmp_path, role="current"):
    """Describe a dataset as collector.workers.exchange.DatasetFile does."""
    rows = tmp_path / f"{role}.parquet"
    rows.write_bytes(b"PAR1 rows of " + role.encode())
    return {
        "role": role,
        "name": role,
        "path": str(rows),
        "url": "/api/datasets",
        "filename": "data.parquet",
        "form": {"name": role},
        "params": {"subtype": role},
    }
