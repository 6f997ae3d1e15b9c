"""Config files: read with the place of every mistake in them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from collector.config.text import place_of
from collector.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from collector.errors import Problem


_COMMENT = "JSON has no comments; take this one out"


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


def _parse(text: str, source: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _without_duplicates(pairs, source))
    except json.JSONDecodeError as error:
        said = _COMMENT if text[error.pos :].lstrip().startswith(("//", "/*", "#")) else error.msg
        message = f"isn't JSON: {said}, line {error.lineno}, column {error.colno}"
        raise ConfigError.at(message, source=source) from error
    except RecursionError as error:
        raise ConfigError.at("is nested too deeply", source=source) from error


def _check_text(data: Any, source: str) -> None:
    """Refuse lone surrogates: JSON can spell them by escapes, but no file can hold them."""
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
