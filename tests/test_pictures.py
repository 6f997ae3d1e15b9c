"""The pictures of the terminal view and of the page are what these draw now."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ["dark.svg", "light.svg", "narrow.svg"]


def words_of(svg):
    """Return what a picture says; where it puts each word is rich's affair, and differs between its versions."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pictures")
    runpy.run_path(str(EXAMPLES / "pictures.py"))["draw_all"](directory)
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_each_picture_is_as_its_script_draws_it(drawn, name):
    """If not, run examples/pictures.py."""
    kept = (EXAMPLES / "pictures" / name).read_text(encoding="utf-8")
    assert words_of(kept) == words_of((drawn / name).read_text(encoding="utf-8"))
    assert len(words_of(kept)) > 50


@pytest.mark.parametrize("name", NAMES)
def test_no_picture_fetches_a_font_or_anything_else(drawn, name):
    svg = (drawn / name).read_text(encoding="utf-8")
    assert not re.search(r"(url\(|href=|@import)\s*[\"']?https?:", svg)


def test_the_picture_of_the_page_says_what_the_page_says():
    """If not, run examples/page_picture.py."""
    script = runpy.run_path(str(EXAMPLES / "page_picture.py"))
    html = script["page"]()
    assert script["words_of"](html) == (EXAMPLES / "pictures" / "page.sha256").read_text(encoding="utf-8").strip()
    assert "3 of 5 collectors need attention" in html
    assert (EXAMPLES / "pictures" / "page.png").read_bytes().startswith(b"\x89PNG")
