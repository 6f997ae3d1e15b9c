"""Reading a collector's config whole: the report, and what is said of the columns, as Evidently runs them.

What is wrong is all that Evidently would ignore, or trip over later: so a config is judged before anything runs.
"""

from typing import Any

from collector.evaluation.definition import read_column_mapping, read_data_definition
from collector.evaluation.reader import Reader
from collector.evaluation.report import LegacyReport, ModernReport, read_legacy, read_modern
from collector.generation import generation_of
from collector.workers.exchange import Json, Problem


def problems_of(report_config: object, data_definition: Json | None, column_mapping: Json | None) -> list[Problem]:
    """Return what is wrong with a config, nothing if it can run."""
    if not isinstance(report_config, dict):
        return [{"path": ["report_config"], "message": "an object is expected"}]
    *_, problems = read_config(report_config, data_definition, column_mapping)
    return problems


def read_config(
    report_config: Json, data_definition: Json | None, column_mapping: Json | None
) -> tuple[ModernReport | LegacyReport, Any, list[Problem]]:
    """Build a report, and a DataDefinition or ColumnMapping if there is one; return what is wrong with them too."""
    is_legacy = generation_of(report_config) == "legacy"
    reader = Reader(legacy=is_legacy)
    report = read_legacy(report_config, reader) if is_legacy else read_modern(report_config, reader)
    columns = None
    if data_definition is not None and is_legacy:
        reader.add_problem(
            ["data_definition"], "a legacy report takes a column_mapping; data_definition is for modern ones"
        )
    elif data_definition is not None:
        columns = read_data_definition(data_definition, reader, ["data_definition"])
    if column_mapping is not None and not is_legacy:
        reader.add_problem(
            ["column_mapping"], "a modern report takes a data_definition; column_mapping is for legacy ones"
        )
    elif column_mapping is not None:
        columns = read_column_mapping(column_mapping, reader, ["column_mapping"])
    return report, columns, reader.problems
