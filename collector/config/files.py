"""Config files on disk: read with the place of every mistake, written so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.errors import ConfigError

if TYPE_CHECKING:
    from os import PathLike


def read_json(path: str | PathLike[str]) -> Any:
    """Parse a JSON file; NaN and Infinity are taken, as the original's files may hold them.

    Raises ConfigError with line and column for what isn't JSON, FileNotFoundError for what isn't there.
    """
    source = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.at(f"can't be read: {error}", source=source) from error
    data = _parse(text, source)
    _check_text(data, source)
    return data


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Put ``text`` at ``path`` in one step that survives a power cut; a symbolic link's target is written."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)  # one that a crash left behind may have another
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """Make renames inside a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(text: str, source: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_duplicates(pairs, source))
    except json.JSONDecodeError as error:
        message = f"isn't JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        raise ConfigError.at(message, source=source) from error
    except RecursionError as error:
        raise ConfigError.at("is nested too deeply", source=source) from error


def _check_text(data: Any, source: str) -> None:
    """Refuse lone surrogates: they can be read as escapes, and never be written."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ConfigError.at(f"holds a lone surrogate, {error.object[error.start]!a}", source=source) from error


def _without_duplicates(pairs: list[tuple[str, Any]], source: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError.at(f"the key '{twice}' stands twice in one object; keep one of them", source=source)
    return found
