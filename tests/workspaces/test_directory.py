"""Directories, written by fake workers."""

import pytest
from worlds import FakeWorkers, collector, worker_died

from collector.errors import DeliveryError, DeliveryRefused
from workspaces.sending import delivering


async def test_a_directory_is_written_by_a_worker(snapshot):
    workers = FakeWorkers()
    async with delivering(snapshot, workers) as deliver:
        await deliver(collector("main", api_url="workspace"))
    assert workers.written == [
        {
            "directory": str(snapshot.parent / "workspace"),
            "generation": "modern",
            "project_id": None,
            "project_name": "project",
            "collector": "main",
            "snapshot_path": str(snapshot),
            "batch_id": "batch-1",
        }
    ]


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (PermissionError(13, "Permission denied"), DeliveryRefused, "can't be written: .*Permission denied"),
        (ValueError("project_id 'x' is no UUID"), DeliveryRefused, "is no UUID"),
        (worker_died(), DeliveryError, "the worker process died"),
    ],
)
async def test_a_directory_that_cannot_be_written_says_why(snapshot, raised, kind, says):
    workers = FakeWorkers()
    workers.failures = [raised]
    async with delivering(snapshot, workers) as deliver:
        with pytest.raises(DeliveryError, match=says) as caught:
            await deliver(collector(api_url="workspace"))
    assert type(caught.value) is kind
