"""The config file as it was last read or saved: what changed in it since is a person's edit."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from collector.config.files import placed, read_bytes
from collector.config.following import followers_of
from collector.config.model import CollectorServiceConfig
from collector.config.text import has_member, with_member, with_new_key, without_member
from collector.disk.files import write_whole
from collector.errors import ConfigConflict, ConfigError


class ConfigFile:
    """A config file, what it held when it was last read or saved, and the configuration that this means."""

    def __init__(self, path: Path, body: bytes, config: CollectorServiceConfig) -> None:
        self.path = path
        self.body = body
        self.config = config

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a file; raise ConfigError with all that is wrong, FileNotFoundError if it isn't there."""
        body = read_bytes(path)
        return cls(path, body, _parse(body, path))

    @classmethod
    def open_or_make(cls, path: Path) -> Self:
        """Read a file, or write the default configuration if there is none."""
        if not path.exists():
            CollectorServiceConfig().save(path)
        return cls.open(path)

    def read(self) -> bytes:
        """Return what the file holds now; raise ConfigError if it can't be read."""
        if self._is_no_file:
            raise ConfigError.at("is no regular file, so it isn't read again; put the file back", source=str(self.path))
        try:
            return read_bytes(self.path)
        except FileNotFoundError as error:
            message = "the file is gone; the service goes on with the last config that it read; put the file back"
            raise ConfigError.at(message, source=str(self.path)) from error

    @property
    def _is_no_file(self) -> bool:
        """Whether a pipe or the like stands in its place: to read that might never end, and nothing would stop it."""
        return self.path.exists() and not self.path.is_file()

    def parse(self, body: bytes) -> CollectorServiceConfig:
        """Return the configuration that the file would mean; raise ConfigError with all that is wrong."""
        return _parse(body, self.path)

    def hold(self, body: bytes, config: CollectorServiceConfig) -> None:
        """Remember the file's text, and the config that it means."""
        self.body, self.config = body, config

    def save(self, config: CollectorServiceConfig, renamed: tuple[str, str] | None = None) -> None:
        """Write changed collectors; the rest of the file stays as it was typed.

        One that is ``renamed``, from an id to another, stays where it stands, and rules that name it are changed.
        Raises ConfigConflict if it was edited since.
        """
        if self._is_no_file or (self.path.exists() and self.path.read_bytes() != self.body):
            raise ConfigConflict(
                f"{self.path} was just edited, and saving this change would undo that edit; send the change again"
            )
        changed = {"collectors": config.collectors} | ({"alerts": config.alerts} if renamed else {})
        saved = self.config.model_copy(update=changed)
        text = self._edited(config, renamed) if self.path.exists() else saved.to_text()
        write_whole(self.path, text.encode())
        self.hold(text.encode(), saved)

    def _edited(self, config: CollectorServiceConfig, renamed: tuple[str, str] | None) -> str:
        text, known = self.body.decode("utf-8-sig"), dict(self.config.collectors)
        if renamed is not None:
            old, new = renamed
            text = with_new_key(text, ("collectors", old), new)
            if has_member(text, ("collectors", new, "id")):
                text = with_member(text, ("collectors", new, "id"), new)
            known[new] = known.pop(old).model_copy(update={"id": new})
            for number, alert in enumerate(config.alerts):
                if alert != self.config.alerts[number]:
                    text = with_member(text, ("alerts", number, "collectors"), list(alert.collectors))
            for follower in followers_of(known).get(old, ()):
                text = with_member(text, ("collectors", follower.id, "events_from"), new)
                known[follower.id] = follower.model_copy(update={"events_from": new})
        for gone in known.keys() - config.collectors.keys():
            text = without_member(text, ("collectors", gone))
        for collector_id, collector in config.collectors.items():
            if known.get(collector_id) != collector:
                text = with_member(text, ("collectors", collector_id), collector.model_dump())
        return text


def _parse(body: bytes, path: Path) -> CollectorServiceConfig:
    config = CollectorServiceConfig.parse_text(body, source=str(path))
    if problems := config.problems():
        raise placed(ConfigError(problems, str(path)), body)
    return config
