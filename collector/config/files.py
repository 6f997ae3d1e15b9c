"""Config files on disk: read with the place of every mistake, written so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collector.config.text import place_of
from collector.errors import ConfigError

if TYPE_CHECKING:
    from collector.errors import Problem


def read_bytes(path: Path) -> bytes:
    """Read a file; raise ConfigError if that can't be done, FileNotFoundError if it isn't there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError.at(f"can't be read: {error}", source=str(path)) from error


def parse_json(body: bytes, source: str) -> Any:
    """Parse a JSON document; NaN and Infinity are taken, as the original's files may hold them.

    Raises ConfigError with line and column for what isn't JSON.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError.at(f"can't be read: {error}", source=source) from error
    data = _parse(text, source)
    _check_text(data, source)
    return data


def placed(error: ConfigError, body: bytes) -> ConfigError:
    """Say of each problem where it stands in the document that it is about."""
    text = body.decode("utf-8-sig")
    return ConfigError([replace(problem, place=_place(text, problem)) for problem in error.problems], error.source)


def _place(text: str, problem: Problem) -> str:
    line, column = place_of(text, problem.path)
    return f"(line {line}, column {column})"


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
