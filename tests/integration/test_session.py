"""The recorded session, examples/session.py, in a small and in a large terminal."""

import re
import sys

import pytest

from .conftest import ROOT
from .terminals import App


def tells_of_the_bad_edit(text):
    said = " ".join(text.partition("✖ edit not in force:")[2].split())
    return re.search(r"rows_count \(line \d+, column \d+\): .*greater than 0", said)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), pytest.param(160, 50, marks=pytest.mark.slow)])
def test_each_stage_of_the_session_is_on_the_screen(tmp_path, columns, lines):
    app = App([sys.executable, ROOT / "examples" / "session.py", "--pace", "0.5"], tmp_path, columns, lines)
    try:
        app.wait_for(
            lambda text: re.search(r"^[○●] flowers +0 ", text.replace("starting", ""), re.MULTILINE), "the start"
        )
        app.wait_for(lambda text: re.search(r"flowers .* [1-9][\d.]* +[▁-█ ]*[▂-█]", text), "the events' rate")
        app.wait_for(lambda text: re.search(r"▲ flowers .* [34]/4 drifted", text), "the snapshot")
        # A screen may be looked at while it is drawn, so all of what is expected is waited for together.
        app.wait_for(
            lambda text: tells_of_the_bad_edit(text) and "▲ flowers" in text, "the bad edit, and the rest as was"
        )
        app.wait_for(
            lambda text: (
                re.search(r"^[○●] more-flowers ", text, re.MULTILINE)
                and re.search(r"[○●◐▲] flowers .* 0/60 ", text)
                and "✖" not in text
            ),
            "the good edit",
        )
        assert app.wait_end() == 0
        assert app.text.endswith("The service has ended with 0, and this is the terminal as it was.")
        app.assert_sane()
    finally:
        app.close()
