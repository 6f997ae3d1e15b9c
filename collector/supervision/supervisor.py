"""The supervisor: keeps exactly the pipelines running that the config asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog
import trio

from collector import __version__
from collector.config import CollectorConfig
from collector.config.following import followers_of, following_problems
from collector.errors import (
    CollectorError,
    ConfigConflict,
    ConfigError,
    IsFetched,
    IsFollower,
    NotReady,
    StorageError,
    UnknownCollector,
)
from collector.fault_points import reach
from collector.pipeline.pipeline import Pipeline
from collector.status.status import ServiceStatus, Status
from collector.store.streams import labels_of
from collector.supervision.bulkhead import Bulkhead
from collector.supervision.checks import Checks
from collector.supervision.orders import Orders
from collector.supervision.reload import Reload

if TYPE_CHECKING:
    from collector.alerts.alerting import Alerting
    from collector.config import Alert, CollectorServiceConfig
    from collector.config.config_file import ConfigFile
    from collector.errors import Problem
    from collector.formats.frames import Frame
    from collector.formats.private import Private
    from collector.pipeline.work import Tools
    from collector.status.counts import Counts
    from collector.store.tapping import Tapped
    from collector.supervision.edits import Changes

T = TypeVar("T")
# Called with the collector's present config, None if there is none; raises to refuse the client's change.
Agreement = Callable[[CollectorConfig | None], None]

_log = structlog.get_logger()
_in_thread = trio.to_thread.run_sync
_IN_A_MOMENT = "nothing was kept, try again in a moment"


def _agree(_: CollectorConfig | None) -> None:
    """Agree with any config."""


class Supervisor:
    """Owns the configuration and the pipelines; changes of them are ordered and carried out one after the other.

    An order is carried out to its end even if the one who gave it is gone.
    """

    def __init__(self, file: ConfigFile, tools: Tools) -> None:
        self.config = file.config.model_copy(update={"collectors": {}})
        self._file = file
        self._tools = tools
        self._checks = Checks(tools.workers, tools.workspaces, tools.base, tools.data_dir.path)
        self._orders = Orders()
        self.edits = Reload(file, self._checks, self._orders, lambda: self.config, self._apply)
        self._running: dict[str, Bulkhead[Pipeline]] = {}
        self._alerting: Bulkhead[Alerting] | None = None
        self._followers: dict[str, tuple[CollectorConfig, ...]] = {}  # by the id of the collector that they follow
        self._leaders: dict[str, str] = {}
        self._private: dict[str, Private] = {}  # by the id of each collector with private columns
        self._started = time.time()
        self._being_renamed = ""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start what the config asks for, then carry out orders until cancelled."""
        async with trio.open_nursery() as nursery:
            await self._finish_forgetting()
            await self._finish_renaming()
            await self._apply(self._file.config, nursery)
            task_status.started()
            await self._orders.carry_out(nursery)

    def pipeline(self, collector_id: str) -> Pipeline:
        """Return the pipeline of a collector; raise UnknownCollector."""
        if collector_id not in self._running:
            if collector_id == self._being_renamed:
                raise NotReady(f"'{collector_id}' is being renamed; {_IN_A_MOMENT}")
            raise UnknownCollector(collector_id, self._tools.journal.renamed_to(collector_id))
        return self._running[collector_id].inside

    def takers(self, collector_id: str) -> tuple[CollectorConfig, ...]:
        """Return who follows a collector to which events are sent.

        Raises UnknownCollector, IsFetched, IsFollower, NotReady.
        """
        if self.pipeline(collector_id).config.kafka is not None:
            raise IsFetched(collector_id)
        if collector_id in self._leaders:
            raise IsFollower(collector_id, self._leaders[collector_id])
        followers = self._followers.get(collector_id, ())
        if self._being_renamed and any(one.id == self._being_renamed for one in followers):
            raise NotReady(f"'{self._being_renamed}', which gets these events too, is being renamed; {_IN_A_MOMENT}")
        return followers

    def private(self, collector_id: str) -> Private | None:
        """Return which columns of a collector's bodies are dropped or hashed."""
        return self._private.get(collector_id)

    @property
    def config_text(self) -> str:
        """The config file as it was last taken, as it was typed."""
        return self._file.body.decode("utf-8-sig")

    @property
    def counts(self) -> Counts:
        """What is counted of the service and its collectors."""
        return self._tools.counts

    def service_status(self) -> ServiceStatus:
        """Return how the service and all collectors stand, these in the order of the config; the retired ones last."""
        journal = self._tools.journal
        collectors = [running.status() for running in self._running.values()]
        collectors += [
            Status(
                key,
                "retired",
                journal.waiting(key).rows,
                rows_accepted=journal.waiting(key).accepted_in_all,
                bytes_buffered=journal.buffered_bytes(key),
            )
            for key in self._retired()
        ]
        return ServiceStatus(
            __version__, self._started, time.time(), journal.trouble, self.edits.state, tuple(collectors)
        )

    def status(self, collector_id: str) -> Status:
        """Return how one collector stands."""
        self.pipeline(collector_id)
        return self._running[collector_id].status()

    async def check(self, config: CollectorConfig) -> None:
        """Check the config that a client wants for a collector; raise ConfigError with all that is wrong."""
        others, known = self.config.collectors.values(), self.config.collectors.get(config.id)
        problems = self._following_problems(config)
        problems += await self._checks.find_problems(config, others, known=known, is_from_client=True)
        if problems:
            raise ConfigError(problems)

    def _following_problems(self, config: CollectorConfig) -> list[Problem]:
        """Return what would be wrong between followers and leaders if a collector had this config."""
        found, own = following_problems(self.config.with_collector(config).collectors), ("collectors", config.id)
        return [replace(one, path=one.path[2:]) if one.path[:2] == own else one for one in found]

    async def reload(self) -> Changes:
        """Put in force what a person changed in the config file; see Reload."""
        return await self.edits.reload()

    async def put(self, config: CollectorConfig, agree: Agreement = _agree) -> None:
        """Add or replace a collector; its events stay. ``agree`` raises if the config that it has isn't as expected."""

        async def enter(nursery: trio.Nursery) -> None:
            self._refuse_fetched(config.id)
            agree(self.config.collectors.get(config.id))
            if problems := self._following_problems(config):  # another collector may have been changed since the check
                raise ConfigError(problems)
            await self._save_and_apply(self.config.with_collector(config), nursery)

        await self._orders.give(enter)

    async def delete(self, collector_id: str, agree: Agreement = _agree) -> int:
        """Remove a collector, also a retired one, with all its events; return how many undelivered rows went with it.

        ``agree`` raises if the config that it has isn't as expected.
        """

        async def remove(nursery: trio.Nursery) -> int:
            if collector_id in self._retired():
                return await self._forget(collector_id)
            agree(self.pipeline(collector_id).config)
            if followers := self._followers.get(collector_id):
                raise ConfigConflict(_has_followers(collector_id, followers))
            self._refuse_fetched(collector_id)
            await self._tools.journal.mark_forgotten(collector_id)
            try:
                await self._save_and_apply(self.config.without_collector(collector_id), nursery)
            except CollectorError:
                await self._tools.journal.unmark_forgotten(collector_id)
                raise
            return await self._forget(collector_id)

        return await self._orders.give(remove)

    async def rename(self, old: str, new: str, agree: Agreement = _agree) -> CollectorConfig:
        """Give a collector another id: all that is its own goes with it, and its entry in the config file is moved.

        ``agree`` raises if the config that it has isn't as expected. Raises ConfigConflict if the id is taken.
        Asked for once more, it is done already.
        """

        async def move(nursery: trio.Nursery) -> CollectorConfig:
            if old not in self._running and self._tools.journal.renamed_to(old) == new:
                return self.pipeline(new).config
            agree(self.pipeline(old).config)
            self._refuse_fetched(old)
            self._check_new_id(new)
            return await self._rename(old, new, nursery)

        return await self._orders.give(move)

    def _check_new_id(self, new: str) -> None:
        if not self.config.autosave:
            raise ConfigConflict(
                "the service can't write the new id into the config file, as 'autosave' is false; set it to true"
            )
        if new in self.config.collectors or new in self._retired():
            raise ConfigConflict(f"there is a collector '{new}' already, or there are events of one; choose another id")

    async def _rename(self, old: str, new: str, nursery: trio.Nursery) -> CollectorConfig:
        journal, before = self._tools.journal, self.config
        config = self._with_own_reference(before.collectors[old], new)
        following = {one.id: one.model_copy(update={"events_from": new}) for one in self._followers.get(old, ())}
        collectors = {
            new if key == old else key: config if key == old else following.get(key, one)
            for key, one in before.collectors.items()
        }
        alerts = tuple(alert.renamed(old, new) for alert in before.alerts)
        wanted = before.model_copy(update={"collectors": collectors, "alerts": alerts})
        self._being_renamed = old
        await self._running.pop(old).stop()
        try:
            await journal.mark_renamed(old, new)
            reach("renaming marked")
            await self._save(wanted, (old, new))
            reach("renaming saved")
        except CollectorError:
            wanted = before
            self._tools.data_dir.remove_references(new, kept=0)
            await journal.unmark_renamed(old)
            raise
        else:
            await self._give_to_new_id(old, new, alerts)
        finally:
            await self._apply(wanted, nursery)
            self._being_renamed = ""
        return config

    def _with_own_reference(self, config: CollectorConfig, new: str) -> CollectorConfig:
        """Return a collector's config under a new id; a reference that a client sent is renamed, too."""
        config = config.model_copy(update={"id": new})
        reference = config.reference_file(self._tools.base)
        if reference is None or not self._tools.data_dir.is_own_reference(reference):
            return config
        path = self._tools.data_dir.new_reference(new)
        path.hardlink_to(reference)
        return config.model_copy(update={"reference_path": self._in_config(path)})

    async def _give_to_new_id(self, old: str, new: str, alerts: Iterable[Alert]) -> None:
        pairs = [(alert.renamed(new, old).keys, alert.keys) for alert in alerts]
        await self._tools.journal.rename(old, new, {had[one]: keys[one] for had, keys in pairs for one in keys})
        reach("renamed")
        self.counts.rename(old, new)
        self.counts.rename(labels_of(old), labels_of(new))
        self._tools.data_dir.remove_references(old, kept=0)

    async def _finish_renaming(self) -> None:
        """Finish a renaming that a crash cut off: the config file says which id holds."""
        for old, new in await self._tools.journal.half_renamed():
            if new in self._file.config.collectors and old not in self._file.config.collectors:
                await self._give_to_new_id(old, new, self._file.config.alerts)
            else:
                await self._tools.journal.unmark_renamed(old)

    async def _forget(self, collector_id: str) -> int:
        journal = self._tools.journal
        files = await journal.labels.known_files(collector_id) | await journal.references.known_files(collector_id)
        rows, parts, batches = await journal.forget(collector_id)
        self._tools.data_dir.remove_keys(files)
        self.counts.forget(collector_id)
        self.counts.forget(labels_of(collector_id))
        self._tools.data_dir.remove_batches(parts, batches)
        self._tools.data_dir.remove_references(collector_id, kept=0)
        return rows

    async def _finish_forgetting(self) -> None:
        """Finish a deletion that a crash cut off; a collector that is still in the config stays."""
        for collector_id in await self._tools.journal.forgotten():
            if collector_id in self._file.config.collectors:
                await self._tools.journal.unmark_forgotten(collector_id)
            else:
                await self._forget(collector_id)

    async def newest_rows(self, collector_id: str, after: int | None, rows: int) -> Tapped:
        """Return a few of the rows that have come for a collector after a number; see store.tapping."""
        self.pipeline(collector_id)
        return await self._tools.workers.newest_rows(self._tools.data_dir.path, collector_id, after, rows)

    async def set_reference(self, collector_id: str, frame: Frame) -> None:
        """Make the rows of a frame the reference of a collector, from its next batch on."""
        self._refuse_fetched(collector_id)
        path = self._tools.data_dir.new_reference(collector_id)
        await self._tools.workers.write_reference(frame, path)
        try:
            await self._orders.give(lambda nursery: self._use_reference(collector_id, path, nursery))
        except CollectorError:
            path.unlink(missing_ok=True)
            raise

    def _refuse_fetched(self, collector_id: str) -> None:
        """Refuse to change a Kafka collector at this service alone: others of the group have it in their config."""
        known = self.config.find(collector_id)
        if known is not None and known.kafka is not None:
            raise ConfigConflict(
                f"'{collector_id}' takes its events from Kafka, and may be at work at any service of its group: change "
                "the config file of each"
            )

    async def _use_reference(self, collector_id: str, path: Path, nursery: trio.Nursery) -> None:
        config = self.pipeline(collector_id).config
        if not await _in_thread(path.exists):
            raise ConfigConflict(f"several references of '{collector_id}' were sent meanwhile; send this one again")
        changed = config.model_copy(update={"reference_path": self._in_config(path)})
        await self._save_and_apply(self.config.with_collector(changed), nursery)
        self._tools.data_dir.remove_references(collector_id, spared=path)

    def _in_config(self, path: Path) -> str:
        """Write a path as in the config: relative if it lies in the config's directory."""
        return str(path.relative_to(self._tools.base) if path.is_relative_to(self._tools.base) else path)

    def _retired(self) -> list[str]:
        """Return the collectors that were taken out of the config and still have undelivered rows."""
        return [key for key in self._tools.journal.buffering() if key not in self._running]

    async def _save_and_apply(self, config: CollectorServiceConfig, nursery: trio.Nursery) -> None:
        """Save a changed config, then make it true; if it can't be saved, nothing changes."""
        if config != self.config:
            await self._save(config)
            await self._apply(config, nursery)

    async def _save(self, config: CollectorServiceConfig, renamed: tuple[str, str] | None = None) -> None:
        if config.autosave:
            try:
                await _in_thread(self._file.save, config, renamed)
            except OSError as error:
                raise StorageError(f"the config can't be saved to {self._file.path}: {error.strerror}") from error

    async def _apply(self, config: CollectorServiceConfig, nursery: trio.Nursery) -> None:
        """Stop what is gone or changed, start what is new or changed, leave the rest alone."""
        await self._apply_alerts(config, nursery)
        at_work = config.at_work()
        for collector_id, running in self._running.items():
            wanted, had = at_work.get(collector_id), running.inside.config
            if wanted is not None and _differs_in_reference_only(wanted, had):
                running.inside.take_config(wanted, config)
            else:
                await running.stop()
        started = {}
        for collector_id, wanted in at_work.items():
            if collector_id in self._running and not self._running[collector_id].is_stopped:
                started[collector_id] = self._running[collector_id]
            else:
                started[collector_id] = Bulkhead(Pipeline(wanted, config, self._tools), self._tools.journal)
                nursery.start_soon(started[collector_id].run)
        self._running = started
        self._followers = followers_of(config.collectors)
        self._leaders = {one.id: leader for leader, followers in self._followers.items() for one in followers}
        of_each = ((key, config.private_of(one)) for key, one in config.collectors.items())
        self._private = {key: private for key, private in of_each if private is not None}
        self.config = config

    async def _apply_alerts(self, config: CollectorServiceConfig, nursery: trio.Nursery) -> None:
        """Start, change or end the alerts. They listen before any collector starts; without a rule nothing runs."""
        if self._alerting is not None and config.alerts:
            self._alerting.inside.apply(config)
        elif config.alerts:
            from collector.alerts.alerting import Alerting

            tools = self._tools
            alerting = Alerting(config, tools.journal, tools.clocks, tools.counts, self.service_status)
            self._alerting = Bulkhead(alerting, tools.journal)
            nursery.start_soon(self._alerting.run)
        elif self._alerting is not None:
            await self._alerting.stop()
            self._alerting = None
            self._tools.journal.listen(None)
            with suppress(StorageError):  # nobody reads the alerts' states any more
                await self._tools.journal.alerts.keep_only((), ())


def _has_followers(collector_id: str, followers: tuple[CollectorConfig, ...]) -> str:
    names = ", ".join(f"'{one.id}'" for one in followers)
    return (
        f"'{collector_id}' can't be deleted while others get its events: {names}; "
        "delete those first, or take 'events_from' out of their configs"
    )


def _differs_in_reference_only(wanted: CollectorConfig, had: CollectorConfig) -> bool:
    reference = {"reference_path": had.reference_path, "reference_from": had.reference_from}
    return wanted.model_copy(update=reference) == had
