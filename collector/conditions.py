"""Conditions: Evidently's names for them, as tests of a report and a collector's ``where`` have them."""

from __future__ import annotations

# For each condition: what it compares with, and the words for it.
AGAINST_AN_ORDER = {
    "gt": "Greater than this.",
    "gte": "This or greater.",
    "lt": "Less than this.",
    "lte": "This or less.",
}
AGAINST_A_VALUE = {"eq": "Equal to this.", "not_eq": "Anything but this."}
AGAINST_A_LIST = {"is_in": "One of these.", "not_in": "None of these."}
CONDITIONS = AGAINST_AN_ORDER | AGAINST_A_VALUE | AGAINST_A_LIST
