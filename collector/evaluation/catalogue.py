"""Which class a ``"type"`` in a config means: Evidently's aliases, class paths, and the names that people write."""

import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeGuard

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
from evidently.legacy.test_preset import RecsysTestPreset
from evidently.legacy.test_preset.test_preset import TestPreset
from evidently.legacy.tests.base_test import Test as LegacyTest
from evidently.legacy.utils.generators import BaseGenerator
from evidently.pydantic_utils import (
    ALLOWED_TYPE_PREFIXES,
    LOADED_TYPE_ALIASES,
    TYPE_ALIASES,
    PolymorphicModel,
    all_subclasses,
    get_base_class,
)

from collector.wording import nearest

MODERN_METRICS = (Metric, MetricContainer)
MODERN_DESCRIPTORS = (Descriptor,)
LEGACY_METRICS = (LegacyMetric, MetricPreset)
LEGACY_TESTS = (LegacyTest, TestPreset)

# What Evidently exports, by name: not all of it has an alias.
EXPORTS: dict[type, tuple[ModuleType, ...]] = {
    Metric: (evidently.presets, evidently.metrics, evidently.generators),
    LegacyMetric: (evidently.legacy.metric_preset, evidently.legacy.metrics),
    LegacyTest: (evidently.legacy.test_preset, evidently.legacy.tests),
}
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
    found = _find_class(name, bases, legacy=legacy)
    if _is_lost_when_saved(found):
        raise UnknownTypeError(
            f"{found.__name__}: Evidently can't load this again once it is saved, and its UI would no longer show any "
            "project; use a modern report with the metrics of recommendations, which take tests"
        )
    return found


def _find_class(name: str, bases: Sequence[type], *, legacy: bool) -> type:
    if ":" in name:
        return _by_alias(name, bases)
    if "." in name:
        return _by_path(name, bases, legacy=legacy)
    return _exports(bases).get(name) or _by_alias(_bare_names(bases).get(name, name), bases)


def _is_lost_when_saved(found: Any) -> bool:
    """Tell whether it is a legacy test of recommendations: it saves a header that it doesn't take back when loaded."""
    if found is RecsysTestPreset:
        return True
    return issubclass(found, LegacyTest) and "header" in found.__fields__.keys() - inspect.signature(found).parameters


def find_descriptor_function(name: str) -> Callable[..., Descriptor] | None:
    """Return the function of that name in ``evidently.descriptors``: most descriptors are made by one."""
    function = getattr(evidently.descriptors, name, None) if name in evidently.descriptors.__all__ else None
    return function if inspect.isfunction(function) else None


def _exports(bases: Sequence[type]) -> dict[str, type]:
    """Return by name what Evidently exports and ``bases`` may stand for. Two names may mean one inner metric."""
    named = {name: getattr(module, name) for module in EXPORTS.get(bases[0], ()) for name in module.__all__}
    return {name: found for name, found in named.items() if _fits(found, bases)}


def _by_alias(name: str, bases: Sequence[type]) -> type:
    for base in _families(bases):
        if (base, name) in LOADED_TYPE_ALIASES or (base, name) in TYPE_ALIASES:
            return _fitting(name, base.load_alias(name), bases)  # type: ignore[attr-defined]  # all are PolymorphicModels
    prefix, _, bare = name.rpartition(":")
    if bare in _exports(bases) and any(alias.startswith(f"{prefix}:") for alias in _aliases(bases)):
        return _exports(bases)[bare]  # Evidently forgot to register it, or it is a generator
    raise UnknownTypeError(_unknown(name, bases))


def _families(bases: Sequence[type]) -> list[type]:
    """Return the classes under which Evidently keeps the aliases of ``bases`` and of their subclasses."""
    found = {get_base_class(derived) for base in bases for derived in (base, *all_subclasses(base))}
    return sorted(found, key=lambda base: base.__name__)


def _by_path(name: str, bases: Sequence[type], *, legacy: bool) -> type:
    path = name
    if legacy and path.startswith("evidently.") and not path.startswith("evidently.legacy."):
        path = "evidently.legacy." + path.removeprefix("evidently.")  # 0.7 moved the whole of 0.6 there
    if not path.startswith(tuple(ALLOWED_TYPE_PREFIXES)):
        allowed = " or ".join(ALLOWED_TYPE_PREFIXES)
        raise UnknownTypeError(f'"{name}" is not allowed as a type; class paths must begin with {allowed}')
    try:
        found = PolymorphicModel.load_alias(path)
    except ValueError as error:
        raise UnknownTypeError(f'"{name}" names no class: {error}') from error
    return _fitting(name, found, bases)


def _fitting(name: str, found: object, bases: Sequence[type]) -> type:
    if _fits(found, bases):
        return found
    raise UnknownTypeError(f'"{name}" is no {_noun(bases)}')


def _fits(found: object, bases: Sequence[type]) -> TypeGuard[type]:
    """Tell whether a class may be built in place of ``bases``; legacy suites also take generators of those."""
    wanted = (*bases, BaseGenerator) if bases[0] in (LegacyMetric, LegacyTest) else tuple(bases)
    return inspect.isclass(found) and issubclass(found, wanted) and not inspect.isabstract(found)


def _unknown(name: str, bases: Sequence[type]) -> str:
    said = f'Unknown alias "{name}"' if ":" in name else f'Unknown {_noun(bases)} "{name}"'
    candidates = _aliases(bases) if ":" in name else [*_exports(bases), *_bare_names(bases), *_function_names(bases)]
    near = nearest(name, candidates)
    return said if near is None else f'{said}; did you mean "{near}"?'


def _noun(bases: Sequence[type]) -> str:
    return _NOUNS.get(bases[0], bases[0].__name__)


def _bare_names(bases: Sequence[type]) -> dict[str, str]:
    return {alias.rpartition(":")[2]: alias for alias in _aliases(bases) if ":" in alias}


def _aliases(bases: Sequence[type]) -> list[str]:
    wanted = _families(bases)
    return sorted(alias for base, alias in {**TYPE_ALIASES, **LOADED_TYPE_ALIASES} if base in wanted)


def _function_names(bases: Sequence[type]) -> list[str]:
    return list(evidently.descriptors.__all__) if Descriptor in bases else []
