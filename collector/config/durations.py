"""Durations: seconds, or text as a person writes it: ``15m``, ``7d``, ``1h30m``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*")
_TEXT = rf"^(?:{_PART.pattern})+$"
# A century. A longer time is a slip of the pen, or the setting should be left out.
LONGEST = 100 * 366 * 86_400


def seconds_of(text: str) -> float:
    """Return the seconds that a text means; raise ValueError if it means none."""
    if not re.fullmatch(_TEXT, text):
        raise ValueError("isn't a duration; write seconds, as in 90, or text, as in '15m', '12h' or '7d'")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _as_seconds(value: object) -> object:
    return seconds_of(value) if isinstance(value, str) and re.search("[a-z]", value) else value


def _more_than_none(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("must be more than 0 s, as in 60, '5m' or '7d'")
    return seconds


Duration = Annotated[
    float,
    BeforeValidator(_as_seconds),
    Field(ge=0, le=LONGEST, allow_inf_nan=False),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": LONGEST}, {"type": "string", "pattern": _TEXT}]}
    ),
]
# A duration above zero.
Wait = Annotated[Duration, AfterValidator(_more_than_none)]
