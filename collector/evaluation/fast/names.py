"""Parsing each name of plotly's once: those as "xaxis.title" are parsed thousands of times in a report."""

from collections.abc import Callable
from functools import cache
from typing import Any

from collector.evaluation.fast.known import Shortcut

_PARSE = "plotly.basedatatypes:_str_to_dict_path_full"


def _remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    parse = cache(original)

    def parsed(path: str) -> Any:
        keys, places = parse(path)
        return keys, list(places)  # a copy, because callers change the list

    return parsed


SHORTCUT = Shortcut("names of properties", (_PARSE,), (_PARSE,), frozenset({"d52a2ad18704d0fe"}), _remembering)
