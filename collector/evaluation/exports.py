"""The names that a report_config may have, with what Evidently says of each.

The JSON Schema suggests them out of a file, so that neither ``schema`` nor ``init`` waits for Evidently to load.
To write that file for another Evidently:
``python -m collector.evaluation.exports > names.json && mv names.json collector/config/evidently_names.json``.
"""

import inspect
import json
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version

import evidently.descriptors
from evidently.legacy.calculations import stattests
from evidently.legacy.calculations.stattests import StatTest

from collector.evaluation.catalogue import (
    EXPORTS,
    LEGACY_METRICS,
    LEGACY_TESTS,
    MODERN_DESCRIPTORS,
    MODERN_METRICS,
    UnknownTypeError,
    find_class,
    find_descriptor_function,
)

Names = dict[str, str]
_KINDS = {"num": "numbers", "cat": "categories", "text": "texts"}


def exports() -> dict[str, str | Names]:
    """Return Evidently's version and, by kind, each name that a config may have with a line on it."""
    return {
        "evidently": version("evidently"),
        "metrics": _described(MODERN_METRICS),
        "descriptors": _described(MODERN_DESCRIPTORS),
        "legacy_metrics": _described(LEGACY_METRICS),
        "legacy_tests": _described(LEGACY_TESTS),
        "stattests": {test.name: _said_of(test) for test in vars(stattests).values() if isinstance(test, StatTest)},
    }


def _described(bases: Sequence[type]) -> Names:
    found = {}
    for module in EXPORTS.get(bases[0], (evidently.descriptors,)):
        for name in module.__all__:
            try:
                made_by = find_descriptor_function(name) if module is evidently.descriptors else None
                found[name] = _first_line(made_by or find_class(name, bases, legacy=False)) or _words(name)
            except UnknownTypeError:  # a base class or helper among the metrics, or one that a service can't keep
                continue
    return found


def _first_line(described: object) -> str:
    """Return the first line of its own docstring; not an inherited one, which describes the parent."""
    own = described.__doc__ if inspect.isclass(described) else inspect.getdoc(described)
    return inspect.cleandoc(own or "").partition("\n")[0]


def _words(name: str) -> str:
    """Return a name's words: "ColumnDriftMetric" becomes "Column drift metric."."""
    first, *others = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z\d]+", name)
    return " ".join([first, *(word if word.isupper() else word.lower() for word in others)]) + "."


def _said_of(test: StatTest) -> str:
    kinds = " and ".join(sorted(_KINDS[kind.value] for kind in test.allowed_feature_types))
    return f"{test.display_name}, for {kinds}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(exports(), indent=1, ensure_ascii=False) + "\n")
