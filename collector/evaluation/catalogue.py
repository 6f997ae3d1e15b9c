"""Which class a ``"type"`` in a config means: Evidently's aliases, class paths, and the names that people write."""

import inspect
from collections.abc import Callable, Sequence

import evidently.descriptors
import evidently.generators
import evidently.legacy.metric_preset
import evidently.legacy.metrics
import evidently.legacy.test_preset
import evidently.legacy.tests
import evidently.metrics
import evidently.presets
from evidently.core.container import MetricContainer
from evidently.core.datasets import Descriptor
from evidently.core.metric_types import Metric, MetricTest
from evidently.legacy.base_metric import Metric as LegacyMetric
from evidently.legacy.metric_preset.metric_preset import MetricPreset
from evidently.legacy.test_preset.test_preset import TestPreset
from evidently.legacy.tests.base_test import Test as LegacyTest
from evidently.pydantic_utils import (
    ALLOWED_TYPE_PREFIXES,
    LOADED_TYPE_ALIASES,
    TYPE_ALIASES,
    PolymorphicModel,
    get_base_class,
)

from collector.wording import nearest

MODERN_METRICS = (Metric, MetricContainer)
MODERN_DESCRIPTORS = (Descriptor,)
LEGACY_METRICS = (LegacyMetric, MetricPreset)
LEGACY_TESTS = (LegacyTest, TestPreset)

_NOUNS: dict[type, str] = {
    Metric: "metric or preset",
    LegacyMetric: "metric or preset",
    LegacyTest: "test or preset",
    Descriptor: "descriptor",
    MetricTest: "test",
}


class UnknownTypeError(ValueError):
    """A ``"type"`` that names nothing we may build, said in a sentence for the user."""


def find_class(name: str, bases: Sequence[type], *, legacy: bool) -> type:
    """Return the class that ``name`` means, a subclass of one of ``bases``.

    Takes an alias (``evidently:metric_v2:MinValue``), a class path (one of Evidently 0.6 too, when ``legacy``), or a
    bare name (``MinValue``). Raises UnknownTypeError.
    """
    if ":" in name:
        return _by_alias(name, bases)
    if "." in name:
        return _by_path(name, bases, legacy=legacy)
    exported = _exported(name) if Metric in bases else None
    return exported or _by_alias(_bare_names(bases).get(name, name), bases)


def find_descriptor_function(name: str) -> Callable[..., Descriptor] | None:
    """Return the function of that name in ``evidently.descriptors``: most descriptors are made by one."""
    function = getattr(evidently.descriptors, name, None) if name in evidently.descriptors.__all__ else None
    return function if inspect.isfunction(function) else None


def _exported(name: str) -> type | None:
    """Return what Evidently exports by that name: two names stand for an inner metric too."""
    modules = (evidently.presets, evidently.metrics, evidently.generators)
    return next((getattr(module, name) for module in modules if name in module.__all__), None)


def _by_alias(name: str, bases: Sequence[type]) -> type:
    for base in bases:
        key = (get_base_class(base), name)
        if key in LOADED_TYPE_ALIASES or key in TYPE_ALIASES:
            return _fitting(name, base.load_alias(name), bases)  # type: ignore[attr-defined]  # all are PolymorphicModels
    raise UnknownTypeError(_unknown(name, bases))


def _by_path(name: str, bases: Sequence[type], *, legacy: bool) -> type:
    path = name
    if legacy and path.startswith("evidently.") and not path.startswith("evidently.legacy."):
        path = "evidently.legacy." + path.removeprefix("evidently.")  # where 0.7 put the whole of 0.6
    if not path.startswith(tuple(ALLOWED_TYPE_PREFIXES)):
        allowed = " or ".join(ALLOWED_TYPE_PREFIXES)
        raise UnknownTypeError(f'"{name}" is not allowed as a type: class paths begin with {allowed}')
    try:
        found = PolymorphicModel.load_alias(path)
    except ValueError as error:
        raise UnknownTypeError(f'"{name}" names no class: {error}') from error
    return _fitting(name, found, bases)


def _fitting(name: str, found: object, bases: Sequence[type]) -> type:
    if inspect.isclass(found) and issubclass(found, tuple(bases)) and not inspect.isabstract(found):
        return found
    raise UnknownTypeError(f'"{name}" is no {_noun(bases)}')


def _unknown(name: str, bases: Sequence[type]) -> str:
    said = f'Unknown alias "{name}"' if ":" in name else f'Unknown {_noun(bases)} "{name}"'
    candidates = _aliases(bases) if ":" in name else [*_bare_names(bases), *_function_names(bases)]
    near = nearest(name, candidates)
    return said if near is None else f'{said}; did you mean "{near}"?'


def _noun(bases: Sequence[type]) -> str:
    return _NOUNS.get(bases[0], bases[0].__name__)


def _bare_names(bases: Sequence[type]) -> dict[str, str]:
    return {alias.rpartition(":")[2]: alias for alias in _aliases(bases) if ":" in alias}


def _aliases(bases: Sequence[type]) -> list[str]:
    wanted = {get_base_class(base) for base in bases}
    return sorted(alias for base, alias in {**TYPE_ALIASES, **LOADED_TYPE_ALIASES} if base in wanted)


def _function_names(bases: Sequence[type]) -> list[str]:
    return list(evidently.descriptors.__all__) if Descriptor in bases else []
