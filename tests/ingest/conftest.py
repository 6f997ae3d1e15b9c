"""The real app over a real journal; the supervisor is a fake.

Each test of the HTTP API runs twice: asking the app itself, and over a socket where the front door stands before it.
"""

import socket
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
import trio
from fakes import FakeSupervisor, collector_config
from machine import PATIENCE
from trio.testing import wait_all_tasks_blocked

from collector.config import CollectorServiceConfig
from collector.formats.frames import check_body
from collector.formats.private import without_private
from collector.ingest.http.admin import Admin
from collector.ingest.http.app import Handlers, make_app
from collector.ingest.http.door import Door
from collector.ingest.http.draining import Draining
from collector.ingest.http.front_door import FrontDoor
from collector.ingest.http.guard import Guard
from collector.ingest.http.page.pages import Pages
from collector.ingest.http.probes import Probes
from collector.ingest.http.receiving import Receiving
from collector.ingest.http.server import serve_http
from collector.ingest.intake import Intake
from collector.ingest.labels import LabelsIntake
from collector.ingest.room import Bodies
from collector.ingest.spool import Spool
from collector.status.counts import Counts
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal


class WatchedDraining(Draining):
    """Tells of the first request."""

    def __init__(self):
        super().__init__()
        self._has_come = trio.Event()

    def enter(self):
        super().enter()
        self._has_come.set()

    async def wait_for_request(self):
        """Return once its handler waits for its body."""
        with trio.fail_after(PATIENCE):
            await self._has_come.wait()
        await wait_all_tasks_blocked()


class Service:
    """All that a test may want to look at; ``http`` speaks to it."""

    def __init__(self, journal, supervisor, secret, data_dir):
        self.journal = journal
        self.supervisor = supervisor
        self.draining = WatchedDraining()
        self.data_dir = data_dir
        spool = Spool(journal, self._check, self._without_private, is_synced=False)
        self.intake = Intake(supervisor, journal, spool)
        self.guard, bodies = self._guard(secret), Bodies()
        self.receiving = Receiving(self.intake, spool, bodies)
        self.labels = Receiving(LabelsIntake(supervisor, journal, spool), spool, bodies)
        self.admin = Admin(supervisor, journal, self.receiving)
        probes, counts = Probes(supervisor, journal), supervisor.counts
        self.pages = Pages(supervisor, journal, self.receiving, self.guard, self.draining)
        asked = (self.admin, probes, self.guard, self.draining, counts, self._scrape, self.pages)
        self.app = make_app(Handlers(self.receiving, *asked, self.labels))

    def _guard(self, secret):
        return Guard(secret, lambda: self.supervisor.config, is_loopback=True)

    def make_front_door(self, kind=FrontDoor):
        return kind({"data": self.receiving, "labels": self.labels}, self.guard, self.draining, self.supervisor.counts)

    @asynccontextmanager
    async def asked(self):
        """Have the app itself asked."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://localhost") as self.http:
            yield self

    @asynccontextmanager
    async def serving(self, *, front_door=True):
        """Serve on a socket; the answers of the front door are counted."""
        self.front_door = self.make_front_door() if front_door else None
        door = Door(Counts(), 1000)
        door.open_front(lambda: self.front_door, lambda: 1000)
        door.open(self.app)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        url = f"http://127.0.0.1:{self.port}"
        async with trio.open_nursery() as nursery, self._client(url) as self.http:
            nursery.start_soon(serve_http, door, listener, None, trio.sleep_forever)
            yield self
            nursery.cancel_scope.cancel()

    @staticmethod
    def _client(url):
        # To read the certificates that it would trust takes 20 ms, as long as the rest of a test.
        return httpx.AsyncClient(base_url=url, timeout=PATIENCE, verify=False)

    @staticmethod
    async def _check(format_, body, bounds):
        return await trio.to_thread.run_sync(check_body, format_, body, bounds)

    @staticmethod
    async def _without_private(*args):
        return await trio.to_thread.run_sync(without_private, *args)

    @staticmethod
    async def _scrape(accept):
        return b"up 1\n", accept

    async def post(self, path, body=b"", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=body, headers=named)

    def rows(self, collector_id="main"):
        return self.journal.waiting(collector_id).rows


@pytest.fixture
def make_service(tmp_path):
    """Make a service with a collector ``main`` and what a test wants otherwise."""

    @asynccontextmanager
    async def made(secret=None, collectors=("main",), find_problems=lambda _: [], **fields):
        config = CollectorServiceConfig.parse(fields)
        for collector_id in collectors:
            config = config.with_collector(collector_config(collector_id))
        with open_data_dir(tmp_path / str(uuid4())) as data_dir:
            async with open_journal(data_dir) as journal:
                yield Service(journal, FakeSupervisor(journal, config, find_problems), secret, data_dir)

    return made


@pytest.fixture
def open_app(make_service):
    """Open a service that is asked without a socket: over one, httpx reads no answer before it has sent a body."""

    @asynccontextmanager
    async def opened(*args, **fields):
        async with make_service(*args, **fields) as service, service.asked():
            yield service

    return opened


@pytest.fixture
def open_front_door(make_service):
    """Open a service that is asked over a socket."""

    @asynccontextmanager
    async def opened(*args, **fields):
        async with make_service(*args, **fields) as service, service.serving():
            yield service

    return opened


@pytest.fixture(params=["app", "front door"])
def open_service(request, open_app, open_front_door):
    """Open a service either way."""
    return open_app if request.param == "app" else open_front_door


@pytest.fixture
async def service(open_service):
    async with open_service() as opened:
        yield opened
