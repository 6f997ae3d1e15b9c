"""Judging a collector's config before anything runs: everything that Evidently would ignore or trip over later."""

from collector.evaluation.definition import read_column_mapping, read_data_definition
from collector.evaluation.reader import Reader
from collector.evaluation.report import read_legacy, read_modern
from collector.generation import Generation, generation_of
from collector.workers.exchange import Json, Problem


def problems_of(report_config: object, data_definition: Json | None, column_mapping: Json | None) -> list[Problem]:
    """Return what is wrong with a config, nothing if it can run."""
    if not isinstance(report_config, dict):
        return [{"path": ["report_config"], "message": "an object is expected"}]
    generation = generation_of(report_config)
    reader = Reader(legacy=generation == "legacy")
    if generation == "legacy":
        read_legacy(report_config, reader)
    else:
        read_modern(report_config, reader)
    _check_columns(data_definition, column_mapping, generation, reader)
    return reader.problems


def _check_columns(definition: Json | None, mapping: Json | None, generation: Generation, reader: Reader) -> None:
    if definition is not None and generation == "legacy":
        reader.add_problem(
            ["data_definition"], "a legacy report takes a column_mapping; data_definition is for modern ones"
        )
    elif definition is not None:
        read_data_definition(definition, reader, ["data_definition"])
    if mapping is not None and generation == "modern":
        reader.add_problem(
            ["column_mapping"], "a modern report takes a data_definition; column_mapping is for legacy ones"
        )
    elif mapping is not None:
        read_column_mapping(mapping, reader, ["column_mapping"])
