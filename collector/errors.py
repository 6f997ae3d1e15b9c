"""Every error that we raise, one class for each decision that a caller makes.

Two nouns, everywhere: a *problem* is wrong with what somebody gave us (a config, a file, a body), a *trouble* with the
machine (a disk that refuses, a workspace that can't be reached).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

# No one reads more than these; a client may send a hundred thousand unknown names.
MAX_PROBLEMS = 100
# Characters of a column's name that a message shows.
_MAX_NAME = 200


class CollectorError(Exception):
    """What all of ours have in common; its text is one sentence for a person."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config: where it stands in the JSON, and what is wrong.

    ``place`` says where in the file's text; ``is_damage``: the file that it names was sound and is no longer.
    """

    path: tuple[str | int, ...]
    message: str
    is_damage: bool = False
    place: str = ""

    def under(self, *prefix: str | int) -> Problem:
        """Return the same problem with its path beginning at ``prefix``."""
        return replace(self, path=(*prefix, *self.path))

    @property
    def key(self) -> str:
        """The path as a person writes it: ``collectors.main.trigger.interval``."""
        return ".".join(str(part) for part in self.path)

    def __str__(self) -> str:
        where = " ".join(filter(None, (self.key, self.place)))
        return f"{where}: {self.message}" if where else self.message


class ConfigError(CollectorError):
    """A config can't be used as it is; whoever wrote it has to change it. The first ``MAX_PROBLEMS`` are told."""

    def __init__(self, problems: Sequence[Problem], source: str = "") -> None:
        self.problems = tuple(problems[:MAX_PROBLEMS])
        self.source = source
        listed = "; ".join(str(problem) for problem in self.problems)
        super().__init__(f"{source}: {listed}" if source else listed)

    @property
    def sentences(self) -> list[str]:
        """Each problem by itself, for a line of its own."""
        return [f"{self.source}: {problem}" if self.source else str(problem) for problem in self.problems]

    @classmethod
    def at(cls, message: str, *path: str | int, source: str = "") -> ConfigError:
        """Speak of a single problem."""
        return cls([Problem(path, message)], source)


class ConfigConflict(CollectorError):
    """A person has changed the config file meanwhile, and saving would undo that change."""


class ConfigChanged(CollectorError):
    """A collector's config isn't the one that a client means to change."""


class DataDirError(CollectorError):
    """The data directory can't be used: held by another daemon, of a newer format, or not ours to write."""


class JournalBroken(DataDirError):
    """The journal was found broken while it was used; starting again recovers what is sound in it."""


class StorageError(CollectorError):
    """The disk refused; nothing of the request was kept, so it may be sent again."""


class OutOfFiles(StorageError):
    """The process may open no more files; the disk is sound, and sending again helps once some are closed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"the service may open no more files ({error}); nothing of the request was kept, try again; "
            "raise its limit (ulimit -n, systemd's LimitNOFILE), or lower limits.max_connections"
        )


class UnknownCollector(CollectorError):
    """No collector has this id."""

    def __init__(self, collector_id: str, renamed_to: str | None = None) -> None:
        now = "" if renamed_to is None else f"; it was renamed to '{renamed_to}'"
        super().__init__(f"Collector config with id '{collector_id}' not found{now}")


class IsFollower(CollectorError):
    """A collector takes no events: it gets those of another."""

    def __init__(self, collector_id: str, leader: str) -> None:
        super().__init__(
            f"'{collector_id}' gets its events from '{leader}' ('events_from' in its config), and accepts no others; "
            f"send them to '{leader}'; nothing was kept"
        )


class Unauthorized(CollectorError):
    """The request doesn't carry the service's secret."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Forbidden(CollectorError):
    """A web page of another site made the request, or it calls the service by a name that isn't the service's."""


class IsFetched(CollectorError):
    """Events were sent to a collector that fetches its own."""

    def __init__(self, collector_id: str) -> None:
        super().__init__(
            f"'{collector_id}' takes its events from Kafka: produce them to its topics, or name one of these as "
            "'gateway_topic' in its config: then what is posted goes there"
        )


class OwnedElsewhere(CollectorError):
    """A collector is at work at another service of its group, at ``url`` if that is known."""

    def __init__(self, collector_id: str, url: str) -> None:
        at = f"at {url}" if url else "at another service of its group, or at none for a moment"
        super().__init__(
            f"'{collector_id}' takes its events from Kafka, and another service takes them: it is at work {at}"
        )
        self.url = url


class BadBody(CollectorError):
    """A request's body isn't what its route accepts; sending it again can't help."""


class BadMediaType(CollectorError):
    """A request's body isn't declared as what its route accepts."""


class TooManyColumns(BadBody):
    """A body's columns would make those of an open batch too many; ``whose`` that is, if it isn't its collector's."""

    def __init__(self, held: int, limit: int, new: Sequence[str], whose: str = "the collector's") -> None:
        told = ", ".join(repr(name[:_MAX_NAME]) for name in new[:3])
        super().__init__(
            f"{whose} open batch has {held} columns; with the {len(new)} new ones of this body ({told}) it would have "
            f"more than limits.max_columns, {limit}; nothing was kept: if the names have ids or times in them, send "
            "those as values, or raise the limit"
        )
        self.held = held
        self.new_columns = [name for name in new[:MAX_PROBLEMS] if len(name) <= _MAX_NAME]


class BodyTooLarge(CollectorError):
    """A request's body is over the limit that applies to its kind."""


class BodyTooSlow(CollectorError):
    """A request's body didn't arrive in time."""


class BufferFull(CollectorError):
    """A collector holds as many undelivered events as it may; sending again helps once some are delivered."""


class KeyReused(CollectorError):
    """An idempotency key came again with another body."""


class NotReady(CollectorError):
    """The service can't do this yet, or not any more; asking again in a while helps."""


class EvaluationError(CollectorError):
    """A batch could not be evaluated; the batch stays."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class WorkerDied(EvaluationError):
    """The process that was to do it ended."""


class FilesDamaged(EvaluationError):
    """Parts of a batch, or its reference, can't be read; the batch stays, and what is sound can be evaluated."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(f"can't be read: {', '.join(paths)}")
        self.paths = tuple(paths)

    def __reduce__(self) -> tuple[type[FilesDamaged], tuple[Sequence[str]]]:
        """Keep the paths when the error comes out of a worker process."""
        return type(self), (self.paths,)


class NoRowsMatched(CollectorError):
    """There is nothing to report of a batch, and nothing is wrong: no row meets its collector's ``where``.

    Or, if it says ``why``, all of its report needs a reference, and there is none yet.
    """

    def __init__(self, rows: int, notes: list[str], why: str = "") -> None:
        super().__init__(why or f"none of {rows} rows meets `where`")
        self.rows = rows
        self.notes = notes
        self.why = why


class KeysSpoiled(CollectorError):
    """A file of keys isn't there, or isn't as it was written; it can be made again from parts."""


class BadEnvironment(CollectorError):
    """The environment names a proxy or certificates that can't be used; whoever set the variable has to change it."""


class UnreadableAnswer(CollectorError):
    """What another service answered can't be read: it is too long, or isn't encoded as was asked for."""


class DeliveryError(CollectorError):
    """A workspace didn't accept a snapshot; waiting may help."""

    def __init__(self, message: str, *, retry_after: float = 0, is_ambiguous: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_ambiguous = is_ambiguous


class DeliveryRefused(DeliveryError):
    """A workspace said no in a way that waiting doesn't fix: wrong secret, no such project."""


class SnapshotRejected(DeliveryError):
    """A workspace will never accept this snapshot, however often it is sent; it may accept others."""


class SnapshotTooLarge(DeliveryError):
    """A snapshot is over its workspace's body limit."""


class AlertUnsent(CollectorError):
    """A message of alerts was not sent; trying again may help."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AlertRefused(AlertUnsent):
    """An address takes no messages of ours, until the operator does something about it."""


class AlertRejected(AlertUnsent):
    """An address takes messages of ours, but not this one."""


class NoDashboard(CollectorError):
    """A collector's dashboard can't be made as things stand: its config says so, or it has no snapshot yet."""


class NoLabels(CollectorError):
    """A collector's config says of no labels that it waits for them."""

    def __init__(self, collector_id: str) -> None:
        super().__init__(
            f"the collector '{collector_id}' takes no labels; give it \"labels\" with key, columns and report_config"
        )


class OwnershipLost(CollectorError):
    """Another service has the collector now, or will have it soon: that one finishes what was begun here."""

    def __init__(self) -> None:
        super().__init__("the collector went to another service of the group")


class SourceStuck(CollectorError):
    """A collector's events can't be read until a person does something; events that were read are processed."""


class GroupEnded(CollectorError):
    """This service can't be in its Kafka group as it is; it is tried again."""


class OldProtocol(GroupEnded):
    """The brokers don't know the group protocol of Kafka 4; the older one is left."""


class RequestRefused(CollectorError):
    """To a client: the service said no; sending the same again can't help.

    ``new_columns``: those that made a collector's columns too many.
    """

    def __init__(self, status: int, detail: str, new_columns: Sequence[str] = ()) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.new_columns = tuple(new_columns)


class ServiceUnavailable(CollectorError):
    """To a client: the service can't be reached, or can't accept more just now; it was asked often enough."""

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CommandError(CollectorError):
    """A command can't do what it was asked to; ``hint`` says what to do about it."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.exit_code = exit_code
