"""What a config says of the columns, made to fit one batch: what doesn't fit is left out, and a note says so."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from evidently import Dataset
from evidently.legacy.pipeline.column_mapping import ColumnMapping
from evidently.legacy.utils.data_preprocessing import create_data_definition

from collector.evaluation.uncomputed import PASSING

ROLES = ("id_column", "timestamp")
TYPES = (
    "numerical_columns",
    "categorical_columns",
    "text_columns",
    "datetime_columns",
    "unknown_columns",
    "list_columns",
    "numerical_descriptors",
    "categorical_descriptors",
)
_FEATURES = ("numerical_features", "categorical_features", "datetime_features", "text_features")
# Roles in the order in which they are dropped while Evidently can't read the mapping.
_LEGACY_ROLES = ("prediction", "target", "datetime", "id", "user_id", "item_id")
MAPPED = (*_FEATURES, *_LEGACY_ROLES)


def fit_definition(definition: Any, frame: pd.DataFrame, side: str) -> tuple[Any, list[str]]:
    """Return a data_definition without what ``frame`` can't meet, and a note on each thing left out.

    A column that is not what it is said to be is typed by its values.
    """
    if definition is None:
        return None, []
    claims = [(column, name) for name in TYPES for column in getattr(definition, name) or [] if name not in _MADE]
    missing = {column for column, _ in claims if column not in frame}
    wrong = {column: name for column, name in claims if column in frame and not _meets(frame[column], name)}
    roles = {name: getattr(definition, name) for name in ROLES}
    lost = {name: column for name, column in roles.items() if column is not None and column not in frame}
    if not (missing or wrong or lost):
        return definition, []
    found = Dataset.from_pandas(frame[list(wrong)]).data_definition if wrong else None
    update: dict[str, Any] = dict.fromkeys(lost)
    for name in TYPES:
        if (columns := getattr(definition, name)) is not None and name not in _MADE:
            kept = [column for column in columns if column not in missing and wrong.get(column) != name]
            update[name] = [*kept, *_of_type(found, name)]
    return definition.copy(update=update), list(_notes(missing, wrong, lost, frame, side))


def fit_mapping(
    mapping: ColumnMapping | None, current: pd.DataFrame, reference: pd.DataFrame | None
) -> tuple[ColumnMapping, list[str]]:
    """Return a column mapping without what is on one side only, and a note on each thing left out.

    Evidently computes nothing at all with a mapping that names such a column, or that it can't read otherwise.
    """
    shared = set(current) if reference is None else set(current) & set(reference)
    either = set(current) if reference is None else set(current) | set(reference)
    fitting = dict(vars(mapping or ColumnMapping()))
    notes = []
    for name in _FEATURES:
        if fitting[name] is not None:
            notes += [_not_shared(column, name) for column in fitting[name] if column not in shared]
            fitting[name] = [column for column in fitting[name] if column in shared]
    for name in _LEGACY_ROLES:
        named = [fitting[name]] if isinstance(fitting[name], str) else list(fitting[name] or [])
        if any(column in either and column not in shared for column in named):
            notes += [_not_shared(column, name) for column in named if column not in shared]
            fitting[name] = None
    return _readable(fitting, current, reference, notes)


def fit_frames(current: pd.DataFrame, reference: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return the frames with categories as plain values, if Evidently can't read them otherwise.

    Evidently 0.7.17 can't compare a category on one side with plain values on the other, and then computes nothing.
    """
    try:
        create_data_definition(reference, current, ColumnMapping(target=None, prediction=None))
    except PASSING:
        raise
    except Exception:  # noqa: BLE001  # whatever it raises, the frames are tried once more
        return _plain(current), None if reference is None else _plain(reference)
    return current, reference


def named_by_keys(field: Any, told: Any) -> list[str]:
    """Return the columns that a report's field has as keys, as {"per_column_method": {"age": "psi"}}."""
    return list(told) if str(field).startswith("per_column") and isinstance(told, dict) else []


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    categories = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.CategoricalDtype)]
    return frame.astype({name: frame[name].cat.categories.dtype for name in categories if frame[name].notna().all()})


def _readable(
    fitting: dict[str, Any], current: pd.DataFrame, reference: pd.DataFrame | None, notes: list[str]
) -> tuple[ColumnMapping, list[str]]:
    """Drop roles one after the other until Evidently can read the mapping."""
    for role in (*_LEGACY_ROLES, None):
        mapping = ColumnMapping(**fitting)
        try:
            create_data_definition(reference, current, mapping)
        except PASSING:
            raise
        except Exception as error:
            if role is None:
                raise
            if fitting[role] is not None:
                notes.append(f"The column_mapping's {role} {fitting[role]!r} can't be used for this batch: {error}.")
            fitting[role] = None
        else:
            return mapping, notes
    raise AssertionError  # the last turn of the loop returns or raises


def _not_shared(column: str, name: str) -> str:
    return f"Column {column!r} is not on both sides: it is left out of {name} in the column_mapping."


_MADE = ("numerical_descriptors", "categorical_descriptors")  # columns that only descriptors make


def _is_text(column: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.is_string_dtype(column.dtype) or column.dtype.kind == "O")


def _is_number(column: "pd.Series[Any]") -> bool:
    types = pd.api.types  # pandas counts booleans as numbers, but Evidently raises for their quantiles
    return types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)


_CAN_BE: dict[str, Callable[["pd.Series[Any]"], bool]] = {
    "numerical_columns": _is_number,
    "datetime_columns": pd.api.types.is_datetime64_any_dtype,
    "text_columns": _is_text,
}
_SAID = {"numerical_columns": "numbers", "datetime_columns": "times", "text_columns": "text"}


def _meets(column: "pd.Series[Any]", name: str) -> bool:
    return name not in _CAN_BE or _CAN_BE[name](column)


def _of_type(found: Any, name: str) -> list[str]:
    columns = [] if found is None else list(getattr(found, name) or [])
    # Evidently takes the only column of times for the timestamp of all rows.
    return [found.timestamp] if name == "datetime_columns" and found is not None and found.timestamp else columns


def _notes(
    missing: set[str], wrong: dict[str, str], lost: dict[str, str], frame: pd.DataFrame, side: str
) -> Iterator[str]:
    for column in sorted(missing | set(lost.values())):
        yield f"Column {column!r} of the data_definition is not in the {side}: it is left out of the definition."
    for column, name in wrong.items():
        examples = ", ".join(map(repr, frame[column].dropna().unique()[:3].tolist()))
        holds = f"holds values like {examples}" if examples else "has no value"
        yield (
            f"Column {column!r} is {_SAID[name]} in the data_definition and {holds} in the {side}: "
            "its type is found by its values."
        )
