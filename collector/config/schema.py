"""The JSON Schema of the config file, for editors: they complete Evidently's names and say what each means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from collector.conditions import AGAINST_A_LIST, AGAINST_A_VALUE, AGAINST_AN_ORDER, CONDITIONS
from collector.config.model import CollectorServiceConfig
from collector.config.triggers import SPELLINGS

# Written by collector.evaluation.exports.
NAMES_FILE = Path(__file__).with_name("evidently_names.json")

Schema = dict[str, Any]
_COMPARED: Schema = {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/AgainstReference"}]}
_LISTED: Schema = {"type": "array", "items": {"type": ["number", "string"]}}
_VALUED: Schema = {"anyOf": [*_COMPARED["anyOf"], {"type": ["string", "boolean"]}]}
_ACCEPTED = (
    dict.fromkeys(AGAINST_AN_ORDER, _COMPARED)
    | dict.fromkeys(AGAINST_A_VALUE, _VALUED)
    | dict.fromkeys(AGAINST_A_LIST, _LISTED)
)
_MARGIN = {"type": "number", "exclusiveMinimum": 0}
_AGAINST_REFERENCE: Schema = {
    "description": "The metric's value in the reference, give or take a margin.",
    "type": "object",
    "required": ["reference"],
    "additionalProperties": False,
    "properties": {
        "reference": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "relative": {**_MARGIN, "description": "As a share of the value: 0.1 is 10 %."},
                "absolute": {**_MARGIN, "description": "In the value's own unit."},
            },
        }
    },
}
_TEST: Schema = {
    "description": 'A test of a metric\'s value, as {"lt": 3}.',
    "type": "object",
    "properties": {
        **{name: {**_ACCEPTED[name], "description": said} for name, said in CONDITIONS.items()},
        "is_critical": {"type": "boolean", "description": "If false, a failure is a warning."},
    },
}
_TESTS: Schema = {"type": "array", "items": {"$ref": "#/$defs/Test"}}
_ALL_TESTS: Schema = {
    "description": "Tests of the value; where a metric has a value for each label, tests by label.",
    "anyOf": [_TESTS, {"type": "object", "additionalProperties": _TESTS}, {"type": ["object", "null"]}],
}


def file_schema() -> Schema:
    """Return the schema of a config file, with the names that Evidently knows as suggestions: others pass."""
    schema = CollectorServiceConfig.model_json_schema()
    for trigger, spellings in SPELLINGS.items():
        schema["$defs"][trigger]["properties"]["type"] = {"enum": spellings, "description": "Which trigger it is."}
    # editors know only one spelling of each
    schema["$defs"]["CollectorConfig"]["properties"]["trigger"].pop("discriminator")
    names = json.loads(NAMES_FILE.read_bytes())
    kinds = {
        "metrics": ("Metric", names["legacy_metrics"] | names["metrics"]),
        "tests": ("LegacyTest", names["legacy_tests"]),
        "descriptors": ("Descriptor", names["descriptors"]),
    }
    fields, shared = schema["$defs"]["ReportConfig"]["properties"], schema["$defs"]
    for field, (kind, known) in kinds.items():
        fields[field]["items"] = {"anyOf": [{"$ref": f"#/$defs/{kind}Name"}, {"$ref": f"#/$defs/{kind}"}]}
        shared |= {f"{kind}Name": _suggested(known), kind: _with_type(f"{kind}Name")}
    shared |= {"Test": _TEST, "AgainstReference": _AGAINST_REFERENCE, "StatTest": _suggested(names["stattests"])}
    return schema


def _suggested(names: dict[str, str]) -> Schema:
    known = [{"const": name, "description": said} for name, said in sorted(names.items())]
    return {"anyOf": [*known, {"type": "string"}]}


def _with_type(names: str) -> Schema:
    return {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"$ref": f"#/$defs/{names}"},
            "column": {"type": "string", "description": "The column that it is computed of, where it is of one."},
        },
        "patternProperties": {
            "^(.+_)?tests$": _ALL_TESTS,
            "^((num|cat|text)_)?(method|stattest)$": {"anyOf": [{"$ref": "#/$defs/StatTest"}, {"type": "null"}]},
        },
    }
