"""What a client that posts a config may say in it, and what it means beside what is known of the collector.

A client commands no more than its own events: it names no file of the operator's and no address that the operator's
keys or rows would be sent to, but for what the operator has written already, which it may post back as it was shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from collector.config.environment import is_from_environment
from collector.config.masking import MASK, is_masked, objects_in, text_of, unmasked
from collector.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.config.model import CollectorConfig

    _Path = tuple[str | int, ...]

# s3://, file:/, simplecache::s3://
_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]*(:/|::)", re.IGNORECASE)
_ADDRESSES = frozenset({"api_url", "api_base", "base_url"})
# Texts that go into a snapshot unchanged, and that nothing opens.
_TEXTS = frozenset({"metadata", "tags"})
_IN_FILE = ", or have the operator write it into the config file"
_BY_OPERATOR = "; leave it out, or have the operator write it into the config file"


def as_meant(posted: CollectorConfig, known: CollectorConfig | None) -> CollectorConfig:
    """Return what a client means by a config, ``known`` being the collector's own until now.

    Raises ConfigError with all that it may not say.
    """
    config = posted if known is None else _with_known(posted, known)
    problems = [
        *_secret_problems(config, known),
        *_private_problems(config, known),
        *_place_problems(config, known),
        *_report_problems(config, known),
    ]
    if problems:
        raise ConfigError(problems)
    if config.api_secret == MASK and known is not None:
        config = config.model_copy(update={"api_secret": known.api_secret})
    config.secret()
    return config.model_copy(update={"is_posted": known is None or known.is_posted or _says_else(config, known)})


def _with_known(posted: CollectorConfig, known: CollectorConfig) -> CollectorConfig:
    """Put the known values back where the client posts a mask."""
    report = posted.report_config.model_dump()
    meant = unmasked(report, known.report_config.model_dump())
    updates: dict[str, Any] = {} if meant == report else {"report_config": type(posted.report_config).parse(meant)}
    if posted.labels is not None and known.labels is not None:
        labels = unmasked(posted.labels.model_dump(), known.labels.model_dump())
        updates["labels"] = type(posted.labels).parse(labels)
    if posted.api_url == known.shown_url:
        updates["api_url"] = known.api_url
    if known.columns is not None and posted.columns == known.columns.masked():
        updates["columns"] = known.columns
    return posted.model_copy(update=updates)


def _says_else(config: CollectorConfig, known: CollectorConfig) -> bool:
    """Tell whether a client names other places than the operator did, or another report."""
    names = ("reference_path", "additional_data", "api_url", "report_config", "labels")
    return any(getattr(config, name) != getattr(known, name) for name in names)


def _secret_problems(config: CollectorConfig, known: CollectorConfig | None) -> Iterator[Problem]:
    """Refuse a secret that the client can't know, unless the operator uses it for the same ``api_url``."""
    secret = config.api_secret
    if secret is None or (secret != MASK and not is_from_environment(secret)):
        return
    if known is None or known.api_url != config.api_url or secret not in {MASK, known.api_secret}:
        yield Problem(
            ("api_secret",),
            "a client may post a masked secret, or ${NAME}, only as in this collector's config, with the same api_url; "
            "write the secret itself, or have the operator write it into the config file",
        )


def _private_problems(config: CollectorConfig, known: CollectorConfig | None) -> Iterator[Problem]:
    """Refuse to change private columns, and to hash with a salt of ours: a client could find it out by its hashes."""
    if known is not None and known.columns is not None:
        if config.columns != known.columns:
            message = "a client may not change these; post them as they were shown" + _IN_FILE
            yield Problem(("columns",), message)
        return
    for name, salt in config.columns.hash.items() if config.columns else ():
        if salt == MASK or "${" in salt:
            message = "a client may not name a variable of the service's environment; write the salt itself" + _IN_FILE
            yield Problem(("columns", "hash", name), message)


def _place_problems(config: CollectorConfig, known: CollectorConfig | None) -> Iterator[Problem]:
    if (known is None or config.api_url != known.api_url) and _has_scheme(config.api_url, allowed=("http", "https")):
        message = f"'{config.shown_url}' isn't an address that a client may name; write it as http://HOST:PORT"
        yield Problem(("api_url",), message)
    if (known is None or config.reference_path != known.reference_path) and _has_scheme(config.reference_path or ""):
        yield Problem(("reference_path",), f"'{config.reference_path}' isn't the path of a file{_BY_OPERATOR}")
    if config.kafka is not None and (known is None or config.kafka != known.kafka):
        message = "a client may name no topics: they would be read with the operator's rights"
        yield Problem(("kafka",), message + _BY_OPERATOR)


def _report_problems(config: CollectorConfig, known: CollectorConfig | None) -> Iterator[Problem]:
    names = ("report_config", "data_definition", "column_mapping", "additional_data", "labels")
    known_fields = [] if known is None else [_fields(known, name) for name in names]
    written = {text_of(one) for one in objects_in(known_fields)}
    for name in names:
        yield from _problems_in(_fields(config, name), (name,), written)


def _problems_in(value: Any, path: _Path, written: set[str]) -> Iterator[Problem]:
    """Find addresses and masks in JSON; objects that the operator has ``written`` alike may hold them."""
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _problems_in(inner, (*path, number), written)
    elif isinstance(value, dict) and text_of(value) not in written:
        for name, inner in value.items():
            if path[-1:] == ("report_config",) and name in _TEXTS:
                continue
            if is_masked(name, inner):
                yield Problem(
                    (*path, name),
                    "is masked, but fields beside it were changed; post those as they were shown, or write the key",
                )
            elif name in _ADDRESSES and inner:
                message = "a client may not say where a provider is, as keys and rows would be sent there"
                yield Problem((*path, name), message + _BY_OPERATOR)
            else:
                yield from _problems_in(inner, (*path, name), written)
    elif isinstance(value, str) and _has_scheme(value):
        yield Problem(path, f"'{value[:100]}' is an address, and a client may name none here{_BY_OPERATOR}")


def _has_scheme(text: str, allowed: tuple[str, ...] = ()) -> bool:
    if allowed and urlsplit(text).scheme in allowed:
        return False
    return _SCHEME.match(text) is not None or text.lower().startswith("file:")


def _fields(config: CollectorConfig, name: str) -> Any:
    return config.model_dump(include={name}).get(name)
