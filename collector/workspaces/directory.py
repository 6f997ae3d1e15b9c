"""A directory as a workspace: a worker writes the files that a running ``evidently ui`` picks up by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.errors import DeliveryError, DeliveryRefused, EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

    from collector.config import CollectorConfig
    from collector.store.records import Batch
    from collector.workers.pool import Workers
    from collector.workspaces.progress import Progress


class Directory:
    """A directory with projects; writing the same snapshot again changes nothing."""

    def __init__(self, config: CollectorConfig, workers: Workers, path: Path) -> None:
        self._config = config
        self._workers = workers
        self._path = path

    @property
    def starting_time(self) -> float:
        """Seconds that a worker may take to start."""
        return self._workers.starting_time

    async def deliver(self, batch: Batch, snapshot: Path, progress: Progress) -> None:  # noqa: ARG002
        """Have a worker write the snapshot; raise DeliveryError if it couldn't."""
        try:
            await self._workers.write_to_directory(
                {
                    "directory": str(self._path),
                    "generation": batch.outcome["generation"],
                    "project_id": self._config.project_id,
                    "project_name": self._config.project_name,
                    "collector": self._config.id,
                    "snapshot_path": str(snapshot),
                    "batch_id": batch.id,
                }
            )
        except (OSError, ValueError) as error:
            raise DeliveryRefused(f"the workspace {self._path} can't be written: {error}") from error
        except EvaluationError as error:
            raise DeliveryError(str(error)) from error
