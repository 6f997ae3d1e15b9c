"""Payloads: a request or a response of a model server, in KServe's V1, in V2 or in Seldon's protocol, as columns.

What its columns are called, says the config; else the payload; else they are numbered::

    {"instances": [[6.8, 2.8]]}                                      feature-0, feature-1
    {"instances": [{"age": 41}]}                                     age
    {"inputs": [{"name": "x", "shape": [1, 2], …}]}                  x-0, x-1
    {"data": {"names": ["age"], "ndarray": [[41]]}}                  age
    {"predictions": [1]}                                             prediction
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from collector.errors import BadBody
from collector.formats.json_body import MAX_CELLS, loads
from collector.ingest.kserve.tensors import MAX_DIMENSIONS, Group, by_columns, no_length, read_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector.formats.bounds import Bounds
    from collector.formats.json_body import Columns
    from collector.ingest.kserve.tensors import Values

What = Literal["request", "response", "truth"]
_LISTS = {"request": "instances", "response": "predictions", "truth": "predictions"}
_TENSORS = {"request": "inputs", "response": "outputs", "truth": "outputs"}
_BASES = {"request": "feature", "response": "prediction", "truth": "label"}
_MAX_TOLD = 5  # names in a message


def read_payload(body: bytes, json_length: int | None) -> tuple[Any, bytes | None]:
    """Return the JSON of a payload, and what follows it; None if nothing says that something does.

    Raises BadBody if it isn't JSON, saying what is missing if it has binary tensors.
    """
    if json_length is not None:
        if json_length > len(body):
            raise BadBody(f"Inference-Header-Content-Length is {json_length}, and the body has {len(body)} bytes")
        return loads(body[:json_length]), body[json_length:]
    try:
        return loads(body), None
    except BadBody as error:
        if body.startswith(b"{") and b'"binary_data_size"' in body:
            raise no_length() from error
        raise


def columns_of(
    payload: tuple[Any, bytes | None], what: What, wanted: Sequence[str] | str | None, bounds: Bounds
) -> Columns:
    """Return the columns of a payload, called as is ``wanted``.

    Raises BadBody, saying what is wrong and where; BodyTooLarge.
    """
    groups = _groups(payload, what)
    chosen, positional = _chosen(groups, wanted, what)
    rows = chosen[0].rows
    if other := next((one for one in chosen if one.rows != rows), None):
        raise BadBody(f"the {what}'s '{other.name}' has {other.rows} rows, and '{chosen[0].name}' has {rows}")
    if not rows or not all(one.width for one in chosen):
        raise BadBody(
            f"the {what} has no rows; a tensor's first dimension is the rows, and no other dimension may be 0"
        )
    bounds.check_rows(rows)
    width = sum(one.width for one in chosen)
    bounds.check_columns(width)
    if rows * width > MAX_CELLS:
        raise BadBody(f"the {what} has more than {MAX_CELLS} values; send fewer rows at a time")
    names = positional or [name for one in chosen for name in _spelled(one.name, one.width)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BadBody(f"the {what} has two columns '{twice[0]}'; name its columns in the config's input.kserve")
    return dict(zip(names, (column for one in chosen for column in one.read()), strict=True))


def _groups(payload: tuple[Any, bytes | None], what: What) -> list[Group]:
    data, raw = payload
    if not isinstance(data, dict):
        raise BadBody(f"the {what} isn't a JSON object")
    if _LISTS[what] in data:
        groups = _of_list(data[_LISTS[what]], _LISTS[what], _BASES[what])
    elif _TENSORS[what] in data:
        groups = read_tensors(data[_TENSORS[what]], what, raw)
    elif isinstance(data.get("data"), dict):
        groups = _of_seldon(data["data"], _BASES[what])
    else:
        raise BadBody(
            f"the {what} has neither '{_LISTS[what]}' (V1) nor '{_TENSORS[what]}' (V2) nor 'data' (Seldon); "
            f"it has {_told(list(data))}"
        )
    if not groups:
        raise BadBody(f"the {what} has no rows")
    return groups


def _chosen(
    groups: list[Group], wanted: Sequence[str] | str | None, what: What
) -> tuple[list[Group], Sequence[str] | None]:
    """Return the groups that the config wants, and names for their columns if the config has others."""
    by_name = {one.name: one for one in groups}
    if len(by_name) < len(groups):
        raise BadBody(f"the {what} has two tensors or columns of one name")
    if wanted is None:
        return groups, None
    if isinstance(wanted, str):
        if wanted not in by_name and len(groups) > 1:
            raise BadBody(f"the {what} has {_told(list(by_name))}; name the one that counts in input.kserve.prediction")
        return [replace(by_name.get(wanted, groups[0]), name=wanted)], None
    if any(one.is_own and one.name in wanted for one in groups):
        missing = [name for name in wanted if name not in by_name]
        if missing and not groups[0].is_field:
            raise BadBody(f"the {what} lacks {_told(missing)}, which the config names; it has {_told(list(by_name))}")
        rows = groups[0].rows
        return [by_name.get(name) or Group(name, rows, 1, partial(_nulls, rows)) for name in wanted], None
    width = sum(one.width for one in groups)
    if width != len(wanted) or groups[0].is_field:
        raise BadBody(
            f"the {what} has {width} columns ({_told(list(by_name))}), and the config names {len(wanted)}: "
            f"{_told(wanted)}"
        )
    return groups, wanted


def _nulls(rows: int) -> list[Values]:
    return [[None] * rows]


def _spelled(name: str, width: int) -> list[str]:
    return [name] if width == 1 else [f"{name}-{number}" for number in range(width)]


def _of_list(values: Any, name: str, base: str) -> list[Group]:
    """Read a list of rows; each row is an object, a list or a single value."""
    if not isinstance(values, list):
        raise BadBody(f"'{name}' isn't a list")
    if values and all(isinstance(value, dict) for value in values):
        return _of_objects(values)
    if odd := next((place for place, value in enumerate(values) if isinstance(value, dict)), None):
        raise BadBody(f"'{name}' has an object at {odd}, and other values that aren't objects; send all in one form")
    shape = _shape(values)
    if len(shape) > MAX_DIMENSIONS:
        raise BadBody(f"'{name}' is nested {len(shape)} deep, and at most {MAX_DIMENSIONS} is accepted")
    if len(values) * math.prod(shape[1:]) > MAX_CELLS:
        raise BadBody(f"'{name}' has more than {MAX_CELLS} values; send fewer rows at a time")
    flat: Values = []
    for place, value in enumerate(values):
        _flatten(value, shape[1:], flat, f"'{name}' is ragged: row {place} has another shape than row 0")
    width = math.prod(shape[1:])
    return [Group(base, len(values), width, partial(by_columns, flat, width), is_own=False)]


def _of_objects(records: list[dict[str, Any]]) -> list[Group]:
    names = dict.fromkeys(name for record in records for name in record)
    if len(names) * len(records) > MAX_CELLS:
        raise BadBody(f"{len(records)} objects of {len(names)} different names have more than {MAX_CELLS} values")

    def read(name: str) -> list[Values]:
        return [[record.get(name) for record in records]]

    return [Group(name, len(records), 1, partial(read, name), is_field=True) for name in names]


def _of_seldon(data: dict[str, Any], base: str) -> list[Group]:
    """Read Seldon's own form: an array or a tensor, with or without names of columns."""
    names, tensor = data.get("names"), data.get("tensor")
    if isinstance(tensor, dict):
        shaped = {"name": base, "datatype": "FP64", "shape": tensor.get("shape"), "data": tensor.get("values")}
        [group] = read_tensors([shaped], base, None)
    elif isinstance(data.get("ndarray"), list):
        [group] = _of_list(data["ndarray"], "ndarray", base)
    else:
        raise BadBody("'data' has neither 'ndarray' nor 'tensor'; these forms of Seldon are accepted")
    if not isinstance(names, list) or len(names) != group.width or not all(isinstance(name, str) for name in names):
        return [Group(base, group.rows, group.width, group.read, is_own=False)]

    def read(number: int) -> list[Values]:
        return [group.read()[number]]

    return [Group(name, group.rows, 1, partial(read, number)) for number, name in enumerate(names)]


def _shape(values: Any) -> list[int]:
    """Return the shape of nested lists, judged by the first list of each level."""
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return shape


def _flatten(value: Any, shape: list[int], into: Values, misfit: str) -> None:
    """Add the values of nested lists to ``into``; raise BadBody(``misfit``) if they haven't this shape."""
    if not shape:
        if isinstance(value, list):
            raise BadBody(misfit)
        into.append(value)
    elif not isinstance(value, list) or len(value) != shape[0]:
        raise BadBody(misfit)
    elif len(shape) == 1 and not any(isinstance(inner, list) for inner in value):
        into += value
    else:
        for inner in value:
            _flatten(inner, shape[1:], into, misfit)


def _told(names: Sequence[str]) -> str:
    told = ", ".join(f"'{name[:200]}'" for name in names[:_MAX_TOLD])
    return told if len(names) <= _MAX_TOLD else f"{told} and {len(names) - _MAX_TOLD} more"
