"""The browser that tests drive: it must hear what goes wrong in a page, or no test of a page could fail."""

import pytest
from browser import needs_chromium, running_browser

pytestmark = needs_chromium
PAGE = """data:text/html,<meta charset=utf-8><button onclick="document.title = 'pressed'">go</button><input name=q>"""


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


def test_a_page_is_used_by_keyboard_and_by_mouse(browser):
    page = browser.open(PAGE)
    page.press("Tab")
    assert page.focused() == ["BUTTON", "go"]
    page.press("Enter")
    assert page.eval("document.title") == "pressed"
    page.click("input")
    page.type("main")
    assert page.eval("document.querySelector('input').value") == "main"
    assert page.complaints == []


def test_an_error_in_a_page_is_heard(browser):
    page = browser.open("data:text/html,<script>throw Error('broken')</script>")
    assert "broken" in page.complaints[0]


def test_a_page_without_scripts_runs_none(browser):
    page = browser.open("data:text/html,<script>document.title = 'ran'</script>", is_script=False)
    assert page.eval("document.title") == ""


def test_a_picture_is_as_wide_as_the_page_and_as_long(browser, tmp_path):
    page = browser.open("data:text/html,<body style='height: 3000px'>", width=360)
    page.screenshot(tmp_path / "page.png")
    head = (tmp_path / "page.png").read_bytes()[16:24]
    width, height = int.from_bytes(head[:4]), int.from_bytes(head[4:])
    assert (width, height >= 3000) == (360, True)
