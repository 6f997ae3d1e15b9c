"""The recorded session, examples/session.py, in a small and in a large terminal."""

import re
import sys

import pytest

from .conftest import ROOT
from .terminals import App


def tells_of_the_bad_edit(text):
    said = " ".join(text.partition("✖ edit not taken:")[2].split())
    return re.search(r"rows_count \(line \d+, column \d+\): .*greater than 0", said) and text


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 50)])
def test_each_stage_of_the_session_is_on_the_screen(tmp_path, columns, lines):
    app = App([sys.executable, ROOT / "examples" / "session.py", "--pace", "0.5"], tmp_path, columns, lines)
    try:
        app.wait_for(
            lambda text: re.search(r"^[○●] flowers +0 ", text.replace("starting", ""), re.MULTILINE), "the start"
        )
        app.wait_for(lambda text: re.search(r"flowers .* [1-9][\d.]* +[▁-█ ]*[▂-█]", text), "the events' rate")
        app.wait_for(lambda text: re.search(r"● flowers .* \d/4 drifted", text), "the snapshot")
        text = app.wait_for(tells_of_the_bad_edit, "the bad edit")
        assert "● flowers" in text  # which goes on
        text = app.wait_for(lambda text: re.search(r"^[○●] more-flowers ", text, re.MULTILINE), "the good edit")
        assert "✖" not in text
        assert re.search(r"[○●◐] flowers .* 0/60 ", text)
        assert app.wait_end() == 0
        assert app.text.endswith("The service has ended with 0, and this is the terminal as it was.")
        app.assert_sane()
    finally:
        app.close()
