"""Standing in place of functions of Evidently whose source was read, and only of those."""

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

_Function = Callable[..., Any]

UNKNOWN = (
    "Reports take longer: the installed Evidently, pydantic or plotly computes {} in a way that isn't known here, so "
    "no shortcut is taken there."
)


@dataclass(frozen=True)
class Shortcut:
    """What stands in the places of a function, which are named "module:name", or "module:Class.name".

    ``read`` names all functions whose source it rests on, and ``digests`` has what ``digest_of`` gives for them in the
    versions that it was compared with. ``make`` gets the original.
    """

    name: str
    places: tuple[str, ...]
    read: tuple[str, ...]
    digests: frozenset[str]
    make: Callable[[Any], Any]


@contextmanager
def standing_in(shortcuts: Iterable[Shortcut], notes: list[str]) -> Iterator[None]:
    """Have the shortcuts stand in their places in the block; ``notes`` gets a sentence on those that can't.

    For one report at a time in a process.
    """
    shortcuts = list(shortcuts)
    # all are checked before the first is replaced: one may read what another replaces
    known = [one for one in shortcuts if is_known(one.read, one.digests)]
    left_out = [one.name for one in shortcuts if one not in known]
    with ExitStack() as stack:
        for shortcut in known:
            stand_in = shortcut.make(_found(shortcut.places[0])[2])
            for place in shortcut.places:
                owner, name, _ = _found(place)
                stack.enter_context(patch.object(owner, name, stand_in))
        if left_out:
            notes.append(UNKNOWN.format(", ".join(left_out)))
        yield


def is_known(names: tuple[str, ...], digests: frozenset[str]) -> bool:
    """Tell whether functions are there and have a source that was read."""
    try:
        return digest_of(*(_found(name)[2] for name in names)) in digests
    except (AttributeError, ImportError, OSError, TypeError):  # OSError: the source isn't there
        return False


@cache  # it takes a millisecond
def digest_of(*functions: _Function) -> str:
    """Return a digest of the sources of functions."""
    sources = (inspect.getsource(getattr(function, "__func__", function)) for function in functions)
    return hashlib.sha256("".join(sources).encode()).hexdigest()[:16]


def _found(place: str) -> tuple[Any, str, Any]:
    """Return the owner of the attribute that a path names, the attribute's name, and its value."""
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, name, inspect.getattr_static(owner, name)
