"""What all config values share: frozen, strict about names, lenient about numbers written as text, and loadable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer
from pydantic_core import PydanticCustomError

from collector.config.files import parse_json, placed, read_bytes
from collector.disk.files import write_whole
from collector.errors import MAX_PROBLEMS, ConfigError, Problem
from collector.wording import did_you_mean, json_kind

if TYPE_CHECKING:
    from os import PathLike

    from pydantic_core import ErrorDetails

# What begins the name of a trigger's type.
TRIGGER_ALIAS = "evidently:collector_trigger:"
# Characters of a path on Linux, and more than enough for all other names.
MAX_LENGTH = 4096
# Names in a list of columns.
MAX_COLUMNS = 10_000
Text = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH)]
ColumnName = Text


class Value(BaseModel):
    """A frozen part of the configuration.

    Written out, it has the fields in ``always_written`` (None: all of them), which the original collector wrote too,
    and of the others only those that differ from their default: clients of the original see what they know.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        coerce_numbers_to_str=True,
        ser_json_inf_nan="constants",
        hide_input_in_errors=True,  # the value may be a secret
        defer_build=True,
    )
    always_written: ClassVar[frozenset[str] | None] = None

    @model_serializer(mode="wrap")
    def _without_new_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            is_left_out = self.always_written is not None and name not in self.always_written and name in written
            if is_left_out and getattr(self, name) == field.get_default(call_default_factory=True):
                del written[name]
        return written

    @classmethod
    def parse(cls, data: object, *, source: str = "") -> Self:
        """Make the value from parsed JSON; raise ConfigError with every problem, each with its path."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ConfigError(problems_of(error, cls), source) from error

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read the value from a JSON file; raise ConfigError, or FileNotFoundError."""
        return cls.parse_text(read_bytes(Path(path)), source=str(path))

    @classmethod
    def parse_text(cls, body: bytes, *, source: str = "") -> Self:
        """Make the value from JSON text; raise ConfigError with every problem, each with its path, line and column."""
        try:
            return cls.parse(parse_json(body, source), source=source)
        except ConfigError as error:
            raise (placed(error, body) if any(problem.path for problem in error.problems) else error) from error

    def to_text(self) -> str:
        """Write the value as JSON."""
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: str | PathLike[str]) -> None:
        """Write the value to a JSON file, atomically, readable by its owner only."""
        write_whole(Path(path), self.to_text().encode())


class Ours(Value):
    """A part that the original had not: what differs from its default is written, and no more."""

    always_written: ClassVar[frozenset[str]] = frozenset()


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Translate pydantic's errors to ours, in its order, the first ``MAX_PROBLEMS`` of them."""
    return [
        problem for details in error.errors(include_url=False)[:MAX_PROBLEMS] for problem in _problems(details, model)
    ]


def at_fields(message: str, *fields: str) -> PydanticCustomError:
    """Make what a validator of a whole model raises when the mistake is in certain fields of it."""
    return PydanticCustomError("at_fields", "{message}", {"message": message, "fields": fields})


def _problems(details: ErrorDetails, model: type[BaseModel]) -> list[Problem]:
    # pydantic adds the tag of a union's member, and "[key]", to the path; no one wrote them there.
    loc = details["loc"][:-1] if details["loc"][-1:] == ("[key]",) else details["loc"]
    path = tuple(part for part in loc if not _is_tag(part))
    message = _message(details, model)
    if details["type"] == "at_fields":
        return [Problem((*path, field), message) for field in details["ctx"]["fields"]]
    return [Problem(path, message)]


def _is_tag(part: int | str) -> bool:
    return str(part).startswith(TRIGGER_ALIAS)


def _message(details: ErrorDetails, model: type[BaseModel]) -> str:
    kind = details["type"]
    if kind == "missing":
        return "field required"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"must be an object, not {json_kind(details['input'])}"
    if kind == "extra_forbidden":
        return f"unknown field; {did_you_mean(str(details['loc'][-1]), _names_at(model, details['loc'][:-1]))}"
    return details["msg"].removeprefix("Value error, ").replace("Input should", "must")


def _names_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the fields that are known at a place, following the model's annotations down the path."""
    found: Any = model
    for part in loc:
        found = _step(found, part)
    found = next(iter(getattr(found, "__args__", ())), found)  # X of an annotation ``X | None``
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _step(place: Any, part: int | str) -> Any:
    if isinstance(place, type) and issubclass(place, BaseModel):
        return place.model_fields[str(part)].annotation if part in place.model_fields else place
    members = [member for member in getattr(place, "__args__", ()) if member is not ...]
    if _is_tag(part):
        return next((member for member in members if part in _tags(member)), place)
    return members[-1] if members else place


def _tags(member: Any) -> tuple[str, ...]:
    return getattr(member.model_fields["type"].annotation, "__args__", ())
