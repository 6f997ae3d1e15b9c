"""The daemon: puts the parts together in one nursery, starts them in order, and stops them in order."""

from __future__ import annotations

import importlib
import signal
import socket
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING

import structlog
import trio

from collector import __version__
from collector.errors import CollectorError, ConfigError, EvaluationError
from collector.host.freed_memory import keep_freed_memory
from collector.host.systemd import notify_ready, notify_reloading, notify_stopping
from collector.ingest.http.admin import Admin
from collector.ingest.http.door import Door
from collector.ingest.http.draining import Draining
from collector.ingest.http.front_door import FrontDoor
from collector.ingest.http.guard import Guard
from collector.ingest.http.probes import Probes
from collector.ingest.http.receiving import Receiving
from collector.ingest.http.server import make_tls, serve_http
from collector.ingest.intake import Intake
from collector.ingest.spool import Spool
from collector.pipeline.work import Tools
from collector.status.counts import Counts
from collector.store.data_dir import open_data_dir
from collector.store.journal import open_journal
from collector.supervision.supervisor import Supervisor
from collector.views.metrics import Metrics
from collector.waiting.clocks import Clocks
from collector.workers.pool import open_workers
from collector.workspaces.workspace import open_workspaces

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator

    from collector.config.config_file import ConfigFile
    from collector.store.data_dir import DataDir
    from collector.store.journal import Journal
    from collector.views.terminal import Terminal
    from collector.workers.pool import Workers

_log = structlog.get_logger()

# What is in flight when the service stops is answered within this time; then its connections are cut.
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
    with _thread_for_signals():
        trio.run(serve, options, file)


@contextmanager
def _thread_for_signals() -> Iterator[None]:
    """Have Ctrl-C come to a thread that starts no processes: what a thread blocks is blocked in those that it starts.

    The terminal sends it to workers as well, and one that is still starting would tell of it at length.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    end = Event()

    def wait() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        end.wait()

    thread = Thread(target=wait, name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def serve(
    options: Options, file: ConfigFile, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until SIGINT or SIGTERM; a second one ends it at once. ``started`` with its address.

    Raises DataDirError if the data directory can't be used, CollectorError if the address can't, ConfigError if the
    files for TLS can't.
    """
    tls = _tls(options)
    config, base = file.config, file.path.absolute().parent
    with (
        trio.CancelScope() as everything,
        _bind(options.host, options.port) as listener,
        open_data_dir(base / config.data_dir) as data_dir,
    ):
        draining, counts = Draining(), Counts()
        async with (
            _open_door(listener, tls, Door(counts, config.limits.max_connections), draining) as door,
            open_journal(data_dir, config.durability) as journal,
            open_workers(config.evaluation_workers, config.evaluation_max_bytes) as workers,
            open_workspaces(workers, base) as workspaces,
            trio.open_nursery() as nursery,
        ):
            await _remove_orphans(journal, data_dir)
            clocks = Clocks()
            nursery.start_soon(clocks.watch)
            tools = Tools(journal, data_dir, workers, workspaces, clocks, base, counts)
            supervisor = Supervisor(file, tools)
            await nursery.start(_obey_signals, draining, everything, supervisor)
            await nursery.start(supervisor.run)
            nursery.start_soon(supervisor.watch)
            spool = Spool(data_dir, journal, workers.check_body, is_synced=config.durability == "power")
            receiving, guard = Receiving(Intake(supervisor, journal, spool), spool), Guard(options.secret)
            front_door = FrontDoor(receiving, guard, draining, counts)
            door.open_front(
                lambda: front_door if supervisor.config.front_door else None,
                lambda: supervisor.config.limits.max_connections,
            )
            # Events are accepted from here on; what answers all else takes a third of the start to import.
            app = await trio.to_thread.run_sync(importlib.import_module, "collector.ingest.http.app")
            admin, probes = Admin(supervisor, journal, receiving), Probes(supervisor, journal)
            scrape = Metrics(supervisor, tools).scrape
            door.open(app.make_app(app.Handlers(receiving, admin, probes, guard, draining, counts, scrape)))
            nursery.start_soon(_warm_up, workers)
            url = _url(listener, "http" if tls is None else "https")
            _log.info("ready", url=url, version=__version__, collectors=len(config.collectors), data=str(data_dir.path))
            if not config.collectors:
                _log.info(f"no collectors yet: add one with POST /{{id}}, or in {file.path}")
            if config.unused():
                _log.info("set, but unused", fields=config.unused())
            if options.terminal is not None:
                from collector.views.live import show_live

                nursery.start_soon(show_live, options.terminal, supervisor.service_status, url)
            notify_ready(f"{url}, {len(config.collectors)} collectors")
            task_status.started(url)
            await door.wait_closed()
            _log.info("stopped: what was accepted is kept")
            nursery.cancel_scope.cancel()


def _bind(host: str, port: int) -> socket.socket:
    """Listen before anything heavy is done, so that clients wait rather than being refused."""
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


async def _obey_signals(
    draining: Draining,
    everything: trio.CancelScope,
    supervisor: Supervisor,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    has_terminal = sys.stderr.isatty()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP and has_terminal == sys.stderr.isatty():  # else the terminal was closed
                    nursery.start_soon(_reload, supervisor)
                    continue
                if draining.has_begun:
                    everything.cancel()
                _log.info("stopping: answering what is in flight", signal=signal.Signals(number).name)
                draining.begin()
                notify_stopping()


async def _reload(supervisor: Supervisor) -> None:
    notify_reloading()
    await supervisor.try_reload()
    notify_ready()


@asynccontextmanager
async def _open_door(
    listener: socket.socket, tls: ssl.SSLContext | None, door: Door, draining: Draining
) -> AsyncIterator[Door]:
    """Answer requests from now on, until the service has drained or the block ends."""
    refused = None

    async def serve() -> None:
        await serve_http(door, listener, tls, partial(_drain, draining))
        door.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        try:
            yield door
        except CollectorError as error:
            refused = error  # raised here, it would arrive in a group
        nursery.cancel_scope.cancel()
    if refused is not None:
        raise refused


async def _drain(draining: Draining) -> None:
    await draining.wait_begun()
    with trio.move_on_after(DRAIN_TIMEOUT):
        await draining.wait_idle()


async def _remove_orphans(journal: Journal, data_dir: DataDir) -> None:
    orphans = data_dir.remove_orphans(*await journal.known_files())
    if orphans:
        _log.info("removed files that a crash left half-made; their rows are safe", files=len(orphans))


async def _warm_up(workers: Workers) -> None:
    """Load what the first unusual request, large body and snapshot will need, once events are accepted."""
    for name in (
        "collector.ingest.http.http11",
        "collector.formats.json_columns",
        "httpx",
        "pyarrow.csv",
        "pyarrow.parquet",
    ):
        await trio.to_thread.run_sync(importlib.import_module, name)
    try:
        await workers.warm_up()
    except EvaluationError as error:
        _log.error("no worker process can be had; events are kept meanwhile", error=str(error))
    else:
        _log.info("evidently is warm", version=workers.evidently_version)
