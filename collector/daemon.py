"""The daemon: puts the parts together in one nursery, starts them in order, and stops them in order."""

from __future__ import annotations

import importlib
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

import structlog
import trio

from collector import __version__
from collector.config.labels import LABELS
from collector.errors import CollectorError, ConfigError, EvaluationError, OutOfFiles
from collector.host.freed_memory import keep_freed_memory
from collector.host.signals import STOPPING, ignore_signals, thread_for_signals
from collector.host.systemd import notify_ready, notify_reloading, notify_stopping
from collector.ingest.http.admin import Admin
from collector.ingest.http.door import Door
from collector.ingest.http.draining import Draining
from collector.ingest.http.front_door import FrontDoor
from collector.ingest.http.guard import Guard
from collector.ingest.http.page.pages import Pages
from collector.ingest.http.probes import Probes
from collector.ingest.http.receiving import Receiving
from collector.ingest.http.server import make_tls, serve_http
from collector.ingest.intake import Intake
from collector.ingest.labels import LabelsIntake
from collector.ingest.room import Bodies
from collector.ingest.spool import Spool
from collector.pipeline.source import OnlyPosted
from collector.pipeline.work import Tools
from collector.status.counts import Counts
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.supervision.bulkhead import Bulkhead
from collector.supervision.supervisor import Supervisor
from collector.views.metrics import Metrics
from collector.waiting.clocks import Clocks
from collector.workers.pool import open_workers
from collector.workspaces.workspace import open_workspaces

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    from collector.config import CollectorServiceConfig, Limits
    from collector.config.config_file import ConfigFile
    from collector.sources.group import Group
    from collector.store.data_dir import DataDir
    from collector.store.journal import Journal
    from collector.views.terminal import Terminal
    from collector.workers.pool import Workers

_log = structlog.get_logger()

# When the service stops, requests in flight have this many seconds to be answered; then their connections are cut.
DRAIN_TIMEOUT = 2.0
BACKLOG = 1024


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    host: str
    port: int
    secret: str | None
    certfile: str | None = None
    keyfile: str | None = None
    terminal: Terminal | None = None


def run(options: Options, file: ConfigFile) -> None:
    """Run the service until it is told to stop."""
    keep_freed_memory()
    with thread_for_signals():
        trio.run(serve, options, file)
    ignore_signals()


async def serve(
    options: Options, file: ConfigFile, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends it at once. ``started`` with its address.

    Raises DataDirError if the data directory can't be used, CollectorError if the address can't, ConfigError if the
    files for TLS can't.
    """
    tls = _tls(options)
    orders = _Orders()
    with _bind(options.host, options.port) as listener:
        async with _beside(_obey_signals, orders):
            with orders.everything:
                await _serve(options, file, listener, tls, orders, task_status)


async def _serve(  # noqa: PLR0913  (what serve has made of its arguments)
    options: Options,
    file: ConfigFile,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    orders: _Orders,
    task_status: trio.TaskStatus[str],
) -> None:
    config, base, draining = file.config, file.path.absolute().parent, orders.draining
    with open_data_dir(base / config.data_dir) as data_dir:
        counts, url = Counts(), _url(listener, "http" if tls is None else "https")
        door = Door(counts, config.limits.max_connections)
        async with (
            _beside(_answer, listener, tls, door, draining),
            open_journal(data_dir, config.durability) as journal,
            open_workers(config.evaluation_workers, config.evaluation_max_bytes, config.worker_environment) as workers,
            open_workspaces(workers, base) as workspaces,
            trio.open_nursery() as nursery,
        ):
            await _remove_orphans(journal, data_dir)
            group = _group(config, lambda: supervisor.config.limits)
            sources = group or OnlyPosted()
            counts.group = None if group is None else group.counts
            tools = Tools(journal, data_dir, workers, workspaces, Clocks(), base, counts, sources)
            nursery.start_soon(tools.clocks.watch)
            supervisor = Supervisor(file, tools)
            if group is not None:
                nursery.start_soon(Bulkhead(group, journal).run)
                nursery.start_soon(Bulkhead(group.gateway, journal).run)
            nursery.start_soon(journal.tend_keys, lambda: supervisor.config.idempotency)
            await nursery.start(supervisor.run)
            nursery.start_soon(supervisor.edits.watch)
            entrance = _Entrance(*_receiving(supervisor, tools), _guard(options, listener, supervisor), draining)
            _open_front(door, supervisor, entrance)
            orders.accept(partial(nursery.start_soon, _reload, supervisor))
            # Events are accepted from here on.
            await _open_rest(door, supervisor, tools, entrance)
            nursery.start_soon(_warm_up, workers, lambda: len(supervisor.config.collectors))
            if options.terminal is not None:
                from collector.views.live import show_live

                nursery.start_soon(show_live, options.terminal, supervisor.service_status, url)
            if not draining.has_begun:
                _tell_ready(url, file, data_dir)
                if entrance.guard.exposure:
                    _log.warning(entrance.guard.exposure)
            task_status.started(url)
            await door.wait_closed()
            _log.info("stopped: what was accepted is kept")
            nursery.cancel_scope.cancel()


@dataclass(frozen=True)
class _Entrance:
    """What every request passes, whichever part of the service answers it."""

    receiving: Receiving
    labels: Receiving
    guard: Guard
    draining: Draining


def _group(config: CollectorServiceConfig, limits: Callable[[], Limits]) -> Group | None:
    """Return this service's place in the Kafka group; None, with nothing loaded, if the config has no Kafka."""
    if config.kafka is None:
        return None
    from collector.sources.group import Group

    return Group(config.kafka, limits)


def _receiving(supervisor: Supervisor, tools: Tools) -> tuple[Receiving, Receiving]:
    """Return what receives events, and what receives labels; both share the room for bodies."""
    is_synced = supervisor.config.durability == "power"
    workers = tools.workers
    spool = Spool(tools.journal, workers.check_body, workers.without_private, is_synced=is_synced)
    bodies = Bodies()
    intakes = (Intake(supervisor, tools.journal, spool), LabelsIntake(supervisor, tools.journal, spool))
    events, labels = (Receiving(intake, spool, bodies) for intake in intakes)
    return events, labels


def _open_front(door: Door, supervisor: Supervisor, entrance: _Entrance) -> None:
    """Start to answer the usual POSTs of events and labels."""
    receiving = {"data": entrance.receiving, LABELS: entrance.labels}
    front_door = FrontDoor(receiving, entrance.guard, entrance.draining, supervisor.counts)
    door.open_front(
        lambda: front_door if supervisor.config.front_door else None,
        lambda: supervisor.config.limits.max_connections,
    )


async def _open_rest(door: Door, supervisor: Supervisor, tools: Tools, entrance: _Entrance) -> None:
    """Start to answer all other requests; to import what does that takes a third of the start."""
    app = await trio.to_thread.run_sync(importlib.import_module, "collector.ingest.http.app")
    receiving, guard, draining = entrance.receiving, entrance.guard, entrance.draining
    admin = Admin(supervisor, tools.journal, receiving)
    probes = Probes(supervisor, tools.journal, guard.exposure)
    pages = Pages(supervisor, tools.journal, receiving, guard, draining)
    scrape = Metrics(supervisor, tools).scrape
    handlers = (receiving, admin, probes, guard, draining, tools.counts, scrape, pages, entrance.labels)
    door.open(app.make_app(app.Handlers(*handlers)))


def _tell_ready(url: str, file: ConfigFile, data_dir: DataDir) -> None:
    config = file.config
    _log.info("ready", url=url, version=__version__, collectors=len(config.collectors), data=str(data_dir.path))
    if not config.collectors:
        _log.info(f"no collectors yet: add one with POST /{{id}}, or in {file.path}")
    if config.unused():
        _log.info("set, but unused", fields=config.unused())
    notify_ready(f"{url}, {len(config.collectors)} collectors")


def _guard(options: Options, listener: socket.socket, supervisor: Supervisor) -> Guard:
    is_loopback = ip_address(listener.getsockname()[0]).is_loopback
    return Guard(options.secret, lambda: supervisor.config, is_loopback=is_loopback)


def _bind(host: str, port: int) -> socket.socket:
    """Listen before anything slow is done: clients then wait rather than being refused."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise CollectorError(f"can't listen on {host}:{port}: {error.strerror}; choose another --port") from error
    return listener


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.certfile is None and options.keyfile is None:
        return None
    if options.certfile is None or options.keyfile is None:
        raise ConfigError.at("TLS takes a certificate and its key; give both --certfile and --keyfile, or neither")
    return make_tls(options.certfile, options.keyfile)


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class _Orders:
    """Carries out signals: stop, once the requests in flight are answered, or read the config file again.

    Before events are accepted, no request is in flight, and the file is about to be read anyway.
    """

    def __init__(self) -> None:
        self.everything = trio.CancelScope()
        self.draining = Draining()
        self._reload: Callable[[], None] | None = None

    def accept(self, reload: Callable[[], None]) -> None:
        """Note that events are accepted from now on."""
        self._reload = reload

    def stop(self, number: signal.Signals) -> None:
        """Stop the service; stop at once if it is stopping already."""
        if self.draining.has_begun or self._reload is None:
            self.everything.cancel()
        _log.info("stopping: answering what is in flight", signal=number.name)
        self.draining.begin()
        notify_stopping()

    def reload(self) -> None:
        """Have the config file read again."""
        if self._reload is not None:
            self._reload()


async def _obey_signals(orders: _Orders, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    has_terminal = _has_terminal()
    with trio.open_signal_receiver(*STOPPING, signal.SIGHUP) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGHUP and has_terminal == _has_terminal():  # otherwise the terminal was closed
                orders.reload()
            else:
                orders.stop(signal.Signals(number))


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


async def _reload(supervisor: Supervisor) -> None:
    notify_reloading()
    await supervisor.edits.try_reload()
    notify_ready()


@asynccontextmanager
async def _beside(run: Callable[..., Awaitable[None]], *args: object) -> AsyncIterator[None]:
    """Run a task until the block ends; if the block raises, its error comes out alone, not in a group."""
    raised = None
    async with trio.open_nursery() as nursery:
        await nursery.start(run, *args)
        try:
            yield
        except CollectorError as error:
            raised = error
        nursery.cancel_scope.cancel()
    if raised is not None:
        raise raised


async def _answer(
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    door: Door,
    draining: Draining,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer requests until the service has drained."""
    task_status.started()
    await serve_http(door, listener, tls, partial(_drain, draining))
    door.close()


async def _drain(draining: Draining) -> None:
    await draining.wait_begun()
    with trio.move_on_after(DRAIN_TIMEOUT):
        await draining.wait_idle()


async def _remove_orphans(journal: Journal, data_dir: DataDir) -> None:
    orphans = data_dir.remove_orphans(*await journal.known_files())
    data_dir.remove_stray_keys(await journal.labels.known_files())
    data_dir.remove_keys(data_dir.stray_references(await journal.references.known_files()))
    if orphans:
        _log.info("removed files that a crash left half-made; their rows are safe", files=len(orphans))


async def _warm_up(workers: Workers, collectors: Callable[[], int]) -> None:
    """Once events are accepted, load what the first unusual request, large body and snapshot will need."""
    for name in (
        "collector.ingest.http.http11",
        "collector.formats.json_columns",
        "httpx",
        "pyarrow.csv",
        "pyarrow.parquet",
    ):
        try:
            await trio.to_thread.run_sync(importlib.import_module, name)
        # most likely no more files can be opened; the import is tried again where it is needed
        except (OSError, ImportError) as error:
            _log.warning(
                "a module for large bodies or snapshots can't be loaded; it is tried again when it is needed",
                module=name,
                error=str(error),
            )
    try:
        await workers.warm_up()
    except (EvaluationError, OutOfFiles, OSError) as error:
        _log.error("no worker process can be started; events are kept meanwhile", error=str(error))
    else:
        _log.info("evidently is loaded", version=workers.evidently_version)
        if collectors() > 1:  # a single collector has one report at a time
            await workers.warm_up_second()
