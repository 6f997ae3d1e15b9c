"""Keeping a batch's datasets beside its snapshot, for Evidently Cloud, the only service that takes them."""

import io
from collections.abc import Iterable
from pathlib import Path

from collector.evaluation.result import Upload
from collector.workers.exchange import DatasetFile


def encode(uploads: Iterable[Upload], snapshot_path: str) -> list[tuple[DatasetFile, bytes]]:
    """Describe the request that uploads each dataset, with the parquet file that is to be at its path.

    Each is a POST of multipart form data to ``url``: ``form``, and the file as ``file`` under the name ``filename``.
    The daemon adds ``project_id`` to the query ``params``, and then:

    modern: sends the snapshot first and adds the ``snapshot_id`` that it got to ``params``;
    legacy: sends the datasets first and enters their ids (``dataset_id`` of the answer) by ``worker.link_datasets``.
    """
    return [_encode(upload, Path(snapshot_path)) for upload in uploads]


def _encode(upload: Upload, snapshot_path: Path) -> tuple[DatasetFile, bytes]:
    path = snapshot_path.with_name(f"{snapshot_path.stem}.{upload.role}.parquet")
    buffer = io.BytesIO()
    upload.frame.to_parquet(buffer)
    described: DatasetFile = {
        "role": upload.role,
        "name": upload.name,
        "path": str(path),
        "url": upload.url,
        "filename": "data.parquet",
        "form": upload.form,
        "params": upload.params,
    }
    return described, buffer.getvalue()
