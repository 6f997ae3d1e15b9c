"""Plotly's parsing of the names of properties."""

import plotly.basedatatypes

from collector.evaluation.fast.known import standing_in
from collector.evaluation.fast.names import SHORTCUT


def test_names_of_properties_are_parsed_once_and_found_as_plotly_finds_them():
    parse = plotly.basedatatypes._str_to_dict_path_full  # noqa: SLF001
    names = ["xaxis.title", "error_x", "a[0].b", "_under__scores_", "", "xaxis.title"]
    with standing_in([SHORTCUT], []):
        again = plotly.basedatatypes._str_to_dict_path_full  # noqa: SLF001
        assert again is not parse
        assert [again(name) for name in names] == [parse(name) for name in names]
        again("xaxis.title")[1].append("changed")
        assert again("xaxis.title") == parse("xaxis.title")
