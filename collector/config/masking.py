"""Masks: what a client is shown instead of the keys of LLM providers, and what a mask means that it posts back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

MASK = "********"

_KEYS = frozenset({"api_key", "api_secret", "password", "token"})


def masked(value: Any) -> Any:
    """Return JSON without the keys that Evidently has in a report's options."""
    if isinstance(value, dict):
        return {name: MASK if name in _KEYS and inner else masked(inner) for name, inner in value.items()}
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def unmasked(value: Any, known: Any) -> Any:
    """Return JSON in which each object that came back as it was shown is what it is in ``known``, wherever it stands.

    An object that was changed keeps its masks: its key may have been meant for another address.
    """
    return _unmasked(value, {text_of(masked(one)): one for one in objects_in(known)})


def is_masked(name: str, value: object) -> bool:
    """Tell whether a member of an object is a key that nobody but the operator knows."""
    return name in _KEYS and value == MASK


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Return all objects in JSON, the outer before the inner."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(inner)


def text_of(value: Any) -> str:
    """Return the text that equal JSON has in common."""
    return json.dumps(value, sort_keys=True)


def _unmasked(value: Any, shown: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unmasked(inner, shown) for inner in value]
    if not isinstance(value, dict):
        return value
    same = shown.get(text_of(value))
    return {name: _unmasked(inner, shown) for name, inner in value.items()} if same is None else same
