"""Dumping a snapshot with the models inside of it as they are, for an encoder that takes their fields as it comes by.

Evidently's own dump makes a dictionary of all of it first, with each list of numbers anew. What a snapshot has in
several places, as its figures, is spelt once.
"""

import itertools
import re
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

from evidently._pydantic_compat import BaseModel

from collector.evaluation.fast.known import Shortcut

_ROOT_KEY = "__root__"
_MODEL = "evidently._pydantic_compat:BaseModel."
_MODERN = "evidently.core.report:Snapshot."
_LEGACY = "evidently.legacy.suite.base_suite:Snapshot."
_SECRET = uuid.uuid4().hex  # new in each process, so that no text of a user's looks like a mark
MARK = re.compile(f'"({_SECRET}[0-9]+)"')
_numbers = itertools.count()


class Once:
    """A value whose text is made once: an encoder writes its ``mark``, for which that text is put in."""

    def __init__(self, value: Any) -> None:
        self.mark = f"{_SECRET}{next(_numbers)}"
        self._value = value
        self._text: str | None = None

    def text(self, write: Callable[[Any], str]) -> str:
        """Return the text, which is always written alike."""
        if self._text is None:
            self._text = write(self._value)
        return self._text


def content_of(model: Any) -> Any:
    """Return what a ``dict()`` has of a model, with the models inside of it as they are if that comes to the same."""
    kind: Any = type(model)
    content = vars(model) if _is_plain(kind) else model.dict()
    return content.get(_ROOT_KEY, content)  # a model with a single value is dumped as that value


@cache  # at most one entry for each class of Evidently
def _is_plain(cls: Any) -> bool:
    """Tell whether a model's class dumps its fields as pydantic does by default."""
    return (
        cls.dict is BaseModel.dict
        and cls._iter is BaseModel._iter  # noqa: SLF001  # what ``dict`` rests on
        and cls._get_value.__func__ is BaseModel._get_value.__func__  # noqa: SLF001
        and not (cls.__exclude_fields__ or cls.__include_fields__ or cls.__custom_root_type__)
        and not getattr(cls.Config, "use_enum_values", False)
    )


def _modern(_: Callable[..., Any]) -> Callable[..., Any]:
    return lambda snapshot: dict(content_of(snapshot.to_snapshot_model()))


def _legacy(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda snapshot, **given: original(snapshot, **given) if given else dict(vars(snapshot))


_READ = tuple(f"{_MODEL}{name}" for name in ("dict", "_iter", "_get_value"))
SHORTCUTS = (
    Shortcut(
        name="the dump",
        places=(f"{_MODERN}dump_dict",),
        read=(f"{_MODERN}dump_dict", *_READ),
        digests=frozenset({"7bcfe05f3b099343", "83fa2a7a7b9e01c7"}),
        make=_modern,
    ),
    Shortcut(
        name="the dump of legacy reports",
        places=(f"{_LEGACY}dict",),
        read=(f"{_LEGACY}dict", *_READ),
        digests=frozenset({"239a0cab1897f4f3"}),
        make=_legacy,
    ),
)
