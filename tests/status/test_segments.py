"""Which segments are bad, in words."""

from worlds import outcome_of

from collector.status.segments import bad_words, count_segments, segment_words, told_by_segment

CALM = outcome_of([1]) | {"dataset_drift": False}


def told(*segments, skipped=()):
    return told_by_segment({"segments": segments, "skipped_segments": dict.fromkeys(skipped, 3)})


def test_the_bad_ones_are_named_with_the_reason():
    failed = {"ok": False, "segment": "it", "matched_rows": 5, "error": "no column"}
    tests = CALM | {"segment": "fr", "tests": {"passed": 1, "failed": 1}}
    found = told(CALM | {"segment": "de"}, tests, failed, skipped=["other"])
    assert (found["names"], found["skipped"]) == (["de", "fr", "it"], ["other"])
    assert count_segments(found) == {"good": 1, "bad": 2, "skipped": 1}
    assert segment_words(found) == (
        "2 of 3 segments are bad: "
        "fr (1 of 4 columns drifted (age 0.31 > 0.1); 1 of 2 tests failed), it (its report failed: no column)"
    )
    assert bad_words(found, 1).endswith(", and 1 more")


def test_without_a_bad_one_that_is_said_and_without_any_nothing():
    assert segment_words(told(CALM | {"segment": "de"})) == "1 segment is all right"
    assert segment_words(told(*(CALM | {"segment": name} for name in "ab"))) == "2 segments are all right"
    assert (segment_words(told()), segment_words(None), count_segments(None), bad_words(None)) == ("", "", {}, "")
