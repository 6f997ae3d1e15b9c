import threading
from collections import Counter

import trio
from machine import PATIENCE

from collector.views import disk as module
from collector.views.disk import Disk, Looking, look_at


async def test_a_disk_that_does_not_answer_has_no_numbers(tmp_path, monkeypatch):
    answer = threading.Event()
    monkeypatch.setattr(module, "DISK_PATIENCE", 0.1)
    monkeypatch.setattr(module, "look_at", lambda _path: answer.wait(2 * PATIENCE))
    with trio.fail_after(PATIENCE):
        assert await Looking(tmp_path).look() == Disk()
    answer.set()


def test_a_data_directory_that_is_gone_has_no_numbers(tmp_path):
    assert look_at(tmp_path / "gone") == Disk()


def test_files_that_were_set_aside_are_counted_by_kind(tmp_path):
    (tmp_path / "damaged").mkdir()
    for name in ("part-1.parquet", "frame-main-1.json", "frame-main-2.json"):
        (tmp_path / "damaged" / name).touch()
    seen = look_at(tmp_path)
    assert seen.damaged == Counter(part=1, frame=2)
    assert 0 < seen.free <= seen.size
