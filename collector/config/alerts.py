"""Alerts: which changes are told to whom, without Prometheus."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from collector.config.durations import Duration
from collector.config.environment import filled, is_from_environment
from collector.config.labels import LABELS, MAIN
from collector.config.masking import MASK
from collector.config.tasks import whole_of
from collector.config.value import MAX_LENGTH, Text, Value, at_fields
from collector.errors import ConfigError, Problem
from collector.wording import extra

# Conditions of batches, which are checked when a batch is evaluated or delivered; and conditions that last.
OfBatches = Literal["tests_failed", "metric_failed", "drift", "batch_failed"]
Lasting = Literal["undelivered", "no_events", "misconfigured", "skipped", "disk"]
OF_BATCHES, LASTING = get_args(OfBatches), get_args(Lasting)
Condition = Literal[OfBatches, Lasting]
MAX_RULES = 1_000
MAX_ADDRESSES = 100
_MAX_REASON = 300
NO_WEB_ADDRESS = "isn't an address; write it as https://HOST/PATH"
_NO_ADDRESS = f"{NO_WEB_ADDRESS}, or in apprise's form: slack://…, mailto://…"
# A piece of an address that is shorter is no secret: it may be any word.
_SECRET = re.compile(r"[^/?&=:@,\s]{5,}")
# Characters of a digest that are kept: 64 bits tell the rules of one config apart.
_DIGITS = 16


def _address(text: str) -> str:
    # Errors don't show the address, which may hold a token.
    if not text.isprintable() or " " in text:
        raise ValueError("has spaces or control characters in it, which no address has")
    if "${" not in text and "://" not in text:
        raise ValueError(_NO_ADDRESS)
    return text


def _web_address(text: str) -> str:
    parts = _split(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("isn't an address that a browser opens; write it as https://HOST, perhaps with a path")
    return text.rstrip("/")


Address = Annotated[Text, AfterValidator(_address)]
WebAddress = Annotated[str, Field(max_length=MAX_LENGTH), AfterValidator(_web_address)]


class Alert(Value):
    """A rule: which condition, of which collectors, after how long or how many batches, is sent to whom."""

    always_written: ClassVar[frozenset[str]] = frozenset({"when", "to"})

    when: Condition = Field(description="The condition that the alert is about.")
    to: tuple[Address, ...] = Field(
        repr=False,
        max_length=MAX_ADDRESSES,
        description="Addresses: http(s) gets Alertmanager's body, the rest goes by apprise; ${NAME} is filled in.",
    )
    collectors: tuple[str, ...] = Field(
        default=("*",),
        min_length=1,
        max_length=MAX_ADDRESSES,
        description="Ids of collectors, or patterns such as `churn*`.",
    )
    columns: tuple[str, ...] = Field(
        default=(), max_length=1_000, description="For `drift` only: it fires also if one of these columns drifted."
    )
    after: int = Field(
        default=1, ge=1, le=10_000, description="For conditions of batches: fires after this many in a row."
    )
    for_: Duration = Field(
        default=0, alias="for", description="For all other conditions: fires when it has lasted this long."
    )
    repeat: Duration | None = Field(
        default=None, gt=0, description="How often the message is repeated while the alert lasts; null: never."
    )
    resolved: bool = Field(default=True, description="Send a message when the alert is over, too.")

    @model_validator(mode="after")
    def _fits_its_condition(self) -> Self:
        given = self.model_fields_set
        if not self.to:
            raise at_fields("names nobody; write an address, as in https://HOST/PATH", "to")
        if self.when in LASTING and "after" in given:
            raise at_fields(
                f'counts batches, but \'{self.when}\' isn\'t about batches; write "for": "15m" instead', "after"
            )
        if self.when in OF_BATCHES and self.for_:
            raise at_fields(f"is a duration, but '{self.when}' counts batches; write \"after\": 2 instead", "for")
        if self.when == "no_events" and not self.for_:
            raise at_fields('field required: write how long no event may come, as in "for": "15m"', "for")
        if self.when != "drift" and self.columns:
            raise at_fields("is for drift only", "columns")
        if self.when == "disk" and "collectors" in given:
            raise at_fields("the disk belongs to the whole service, not to a collector; leave this out", "collectors")
        return self

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written = super()._without_new_defaults(handler)
        return {"for" if name == "for_" else name: value for name, value in written.items()}

    @cached_property
    def key(self) -> str:
        """The key of the rule's state: a rule that says something else has another key, and begins from zero."""
        return _digest(self.model_dump(exclude={"repeat", "resolved"}))

    @cached_property
    def keys(self) -> dict[str, str]:
        """What stands for it with each report of a batch: one that is good ends nothing that another told."""
        return {MAIN: self.key, LABELS: f"{self.key} {LABELS}"}

    @property
    def is_of_batches(self) -> bool:
        """Whether it is about batches; else it is about what lasts."""
        return self.when in OF_BATCHES

    def is_about(self, collector_id: str) -> bool:
        """Tell whether it is about a collector; the service itself is ``""``."""
        if self.when == "disk" or not collector_id:
            return self.when == "disk" and not collector_id
        ids = {collector_id, whole_of(collector_id)}  # a task's alerts are those of its collector
        return any(id_ == pattern or fnmatchcase(id_, pattern) for id_ in ids for pattern in self.collectors)

    def renamed(self, old: str, new: str) -> Self:
        """Return the rule with a collector's new id where it names the old one; patterns stay as they are."""
        collectors = [new if one == old else one for one in self.collectors]
        return self.parse(self.model_dump() | {"collectors": collectors}) if old in self.collectors else self


def problems_of(alerts: tuple[Alert, ...]) -> list[Problem]:
    """Return what is wrong with rules in this environment: variables and extras that it lacks, a rule given twice."""
    problems = []
    seen: dict[str, int] = {}
    for number, alert in enumerate(alerts):
        first = seen.setdefault(alert.key, number)
        if first != number:
            problems.append(Problem(("alerts", number), f"repeats alerts.{first}; take one of them out"))
        for place, address in enumerate(alert.to):
            path = ("alerts", number, "to", place)
            try:
                problem = _problem_of(filled(address, *path))
            except ConfigError as error:
                problems += error.problems
            else:
                problems += [Problem(path, problem)] if problem else []
    return problems


def addresses_of(alerts: Iterable[Alert]) -> list[str]:
    """Return the addresses of rules, each once."""
    return list(dict.fromkeys(address for alert in alerts for address in alert.to))


def address_key(address: str) -> str:
    """Return what stands for an address, as it is typed, where its tokens must not."""
    return _digest(address)


def is_webhook(address: str) -> bool:
    """Tell whether an address, with its variables filled in, gets Alertmanager's body."""
    return address.lower().startswith(("http://", "https://"))


def shown_address(address: str) -> str:
    """Return an address as it may be shown: the path of a hook is as secret as a password."""
    if is_from_environment(address):
        return address
    scheme, _, rest = address.partition("://")
    if not is_webhook(address):
        return f"{scheme}://{MASK}" if rest else MASK
    parts = _split(address)
    host = "" if parts is None else parts.netloc.rpartition("@")[2]
    has_more = parts is None or parts.path.strip("/") or parts.query or "@" in parts.netloc
    return f"{scheme}://{host}/{MASK}" if has_more else f"{scheme}://{host}"


def without_address(said: str, address: str) -> str:
    """Return the reason that others give, cut, and without what may be a token of an address, which they may quote."""
    rest = address.partition("://")[2]
    if is_webhook(address):
        user, at, _ = rest.partition("/")[0].rpartition("@")
        rest = f"{user}{at}{rest.partition('/')[2]}"
    pieces = set(_SECRET.findall(rest))
    for piece in sorted(pieces | {unquote(piece) for piece in pieces}, key=len, reverse=True):
        said = said.replace(piece, MASK)
    return said[:_MAX_REASON]


def _problem_of(address: str) -> str | None:
    if is_webhook(address):
        parts = _split(address)
        return None if parts is not None and parts.hostname else NO_WEB_ADDRESS
    scheme, colon, _ = address.partition("://")
    if not colon:
        return _NO_ADDRESS
    if find_spec("apprise") is None:
        return f"'{scheme[:20]}' takes {extra('alerts')}"
    return None


def _split(address: str) -> Any:
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for an impossible port
    except ValueError:
        return None
    return parts


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGITS]
