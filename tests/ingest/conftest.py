"""The real app over a real journal; the supervisor is a fake."""

from contextlib import asynccontextmanager

import httpx
import pytest
from fakes import FakeSupervisor, collector_config

from collector.config import CollectorServiceConfig
from collector.ingest.app import make_app
from collector.ingest.draining import Draining
from collector.ingest.intake import Intake
from collector.store.journal import open_journal


class Service:
    """All that a test may want to look at; ``http`` speaks to the app."""

    def __init__(self, journal, supervisor, secret):
        self.journal = journal
        self.supervisor = supervisor
        self.draining = Draining()
        app = make_app(Intake(supervisor, journal, secret), self.draining, self._scrape)
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://collector")

    @staticmethod
    async def _scrape(accept):
        return b"up 1\n", accept

    async def post(self, path, body=b"", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=body, headers=named)

    def rows(self, collector_id="main"):
        return self.journal.waiting(collector_id).rows


@pytest.fixture
def open_service(tmp_path):
    """Open a service with a collector ``main`` and what a test wants otherwise."""

    @asynccontextmanager
    async def opened(secret=None, collectors=("main",), find_problems=lambda _: [], **fields):
        config = CollectorServiceConfig.parse(fields)
        for collector_id in collectors:
            config = config.with_collector(collector_config(collector_id))
        async with open_journal(tmp_path / "journal.sqlite3") as journal:
            service = Service(journal, FakeSupervisor(journal, config, find_problems), secret)
            async with service.http:
                yield service

    return opened


@pytest.fixture
async def service(open_service):
    async with open_service() as opened:
        yield opened
