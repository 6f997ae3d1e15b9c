"""Which texts spell what, told one by one; whole columns stand in test_casts and test_csv_body."""

import pyarrow as pa
import pytest

from collector.formats.spellings import INTEGERS, NUMBERS, TIMES, TRUTHS, Reading

SPELT = {
    "0": {"integer": 0, "number": 0.0},
    "-7": {"integer": -7, "number": -7.0},
    "9223372036854775807": {"integer": 2**63 - 1},
    "1.50": {"number": 1.5},
    ".5": {"number": 0.5},
    "5.": {"number": 5.0},
    "1e-3": {"number": 0.001},
    "-inf": {"number": float("-inf")},
    "NaN": {"number": None},
    "true": {"truth": True},
    "FALSE": {"truth": False},
    "2026-03-01": {"time": "2026-03-01 00:00:00"},
    "2026-03-01T12:30": {"time": "2026-03-01 12:30:00"},
    "2026-03-01 12:30:00.5+02:00": {"time": "2026-03-01 10:30:00.500000"},
    "2026-03-01T12:30:00Z": {"time": "2026-03-01 12:30:00"},
    "9999-12-31": {"time": "9999-12-31 00:00:00"},
    **{
        key: {}
        for key in [
            "",
            "007",
            "+1",
            "1_000",
            "0x10",
            "1e999",
            "9223372036854775808",
            "9007199254740993.",
            "yes",
            "tRUE",
            "N/A",
        ]
    },
    **{key: {} for key in ["2026-02-30", "2026-13-01", "2026-03-01T24:00", "2026-03-01T12", "12:30", "1,5"]},
}
SPELT["9007199254740993."] = {"number": 9007199254740992.0}  # written as a float, it is one


@pytest.mark.parametrize(
    ("name", "reading"), [("integer", INTEGERS), ("number", NUMBERS), ("truth", TRUTHS), ("time", TIMES)]
)
@pytest.mark.parametrize("text", SPELT)
def test_each_spelling_fits_what_is_plainly_so_and_nothing_else(text: str, name: str, reading: Reading) -> None:
    column = pa.chunked_array([pa.array([text, None])])
    assert reading.fits(column).to_pylist() == [name in SPELT[text], None]
    if name in SPELT[text]:
        [value, nothing] = reading.read(column).to_pylist()
        assert (str(value) if name == "time" else value, nothing) == (SPELT[text][name], None)


def test_nanoseconds_are_kept():
    column = pa.chunked_array([pa.array(["2026-03-01T12:30:00.123456789", "2026-03-01T12:30:00Z"])])
    assert TIMES.fits(column).to_pylist() == [True, True]
    assert TIMES.read(column).type == pa.timestamp("ns")
