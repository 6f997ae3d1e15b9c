"""A real file system, edited in the ways in which people and programs do."""

import os
import subprocess
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from machine import PATIENCE

from collector.supervision import watching
from collector.supervision.watching import watch

QUIET = 0.05  # seconds that an edit takes at least


class Looks:
    """Keeps what a file held each time that it was looked at."""

    def __init__(self, path):
        self._path = path
        self._looked = trio.Event()
        self.seen = []

    async def look(self):
        await trio.lowlevel.checkpoint()
        self.seen.append(self._path.read_text() if self._path.exists() else None)
        self._looked.set()
        self._looked = trio.Event()

    async def until(self, text):
        with trio.fail_after(PATIENCE):
            while not self.seen or self.seen[-1] != text:
                await self._looked.wait()


@pytest.fixture(autouse=True)
def only_events(monkeypatch):
    """Have events alone tell of a change."""
    monkeypatch.setattr(watching, "SLOW_INTERVAL", 1000)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("old")
    return path


@asynccontextmanager
async def watched(path):
    looks = Looks(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch, path, looks.look)
        await looks.until("old")
        await trio.testing.wait_all_tasks_blocked()
        yield looks
        nursery.cancel_scope.cancel()


def in_place(path):
    path.write_text("new")


def by_rename(path):
    temporary = path.with_name("config.json.tmp")
    temporary.write_text("new")
    temporary.replace(path)


def as_vim_does(path):
    """With a swap file and a backup; the old file is renamed away and a new one made."""
    path.with_name(".config.json.swp").write_text("swap")
    path.rename(path.with_name("config.json~"))
    path.write_text("new")
    path.with_name("config.json~").unlink()
    path.with_name(".config.json.swp").unlink()


def as_emacs_does(path):
    """With a lock that leads nowhere, and a copy for a backup."""
    lock = path.with_name(".#config.json")
    lock.symlink_to("someone@somewhere.1:2")
    path.with_name("config.json~").write_text("old")
    path.write_text("new")
    lock.unlink()


def with_sed(path):
    subprocess.run(["sed", "-i", "s/old/new/", path.name], cwd=path.parent, check=True)


def gone_and_back(path):
    path.unlink()
    path.write_text("new")


@pytest.mark.parametrize("save", [in_place, by_rename, as_vim_does, as_emacs_does, with_sed, gone_and_back])
async def test_each_way_of_saving_is_noticed(path, save):
    async with watched(path) as looks:
        save(path)
        await looks.until("new")


async def test_the_swap_of_a_config_maps_link_is_noticed_twice(tmp_path):
    """Kubernetes puts a new directory beside the old and turns the link ..data in one step."""
    for name in ("old", "new", "newer"):
        (tmp_path / f"..{name}").mkdir()
        (tmp_path / f"..{name}" / "config.json").write_text(name)
    (tmp_path / "..data").symlink_to("..old")
    path = tmp_path / "config.json"
    path.symlink_to("..data/config.json")
    async with watched(path) as looks:
        for name in ("new", "newer"):
            (tmp_path / "..data_tmp").symlink_to(f"..{name}")
            os.replace(tmp_path / "..data_tmp", tmp_path / "..data")  # noqa: PTH105  (of links, as Kubernetes does)
            await looks.until(name)


async def test_the_target_of_a_link_is_watched_too(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = path.rename(tmp_path / "elsewhere" / "real.json")
    path.symlink_to(target)
    async with watched(path) as looks:
        by_rename(target)
        await looks.until("new")


async def test_what_happens_beside_the_file_is_not_looked_at(path):
    async with watched(path) as looks:
        count = len(looks.seen)
        path.with_name("daemon.log").write_text("line")
        await trio.sleep(0.3)
        assert len(looks.seen) == count


async def test_a_thousand_saves_are_few_looks_and_the_last_one_counts(path):
    async with watched(path) as looks:
        begun = trio.current_time()
        for number in range(1000):
            path.write_text(str(number))
            await trio.sleep(0.001)
        await looks.until("999")
        assert len(looks.seen) < 10 + (trio.current_time() - begun) / QUIET


async def test_what_no_event_tells_of_is_found_in_time(path, monkeypatch):
    monkeypatch.setattr(watching, "SLOW_INTERVAL", 0.2)
    monkeypatch.setattr(watching, "_is_of", lambda *_: False)
    async with watched(path) as looks:
        in_place(path)
        await looks.until("new")


async def test_a_directory_that_comes_back_is_watched_again(path, monkeypatch):
    monkeypatch.setattr(watching, "SLOW_INTERVAL", 0.2)
    async with watched(path) as looks:
        away = path.parent.rename(path.parent.with_name("away"))
        await looks.until(None)
        away.rename(path.parent)
        in_place(path)
        await looks.until("new")


async def test_the_end_is_not_waited_for(path):
    async with watched(path):
        started = trio.current_time()
    assert trio.current_time() - started < PATIENCE
