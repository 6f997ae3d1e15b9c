"""The pages in a real browser: clicked through, by keyboard, dark and light, wide and narrow, with 200 collectors."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from browser import PATIENCE, needs_chromium, running_browser

from collector.views.page.looking import Looking
from tests.views.page.pasts import past, value_of

pytestmark = needs_chromium
MANY = tuple(f"model-{at:03d}" for at in range(200))
DOWN = "http://ui:8000 can't be reached: Connection refused"
# The ratio of a text's colour to what is behind it (WCAG 2.2, 1.4.3), the lowest of all texts that are seen.
LOWEST_CONTRAST = """(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const back = parse(getComputedStyle(at).backgroundColor);
      if (back.length === 3 || back[3] > 0.99) return back;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.outerHTML.slice(0, 80)]);
  }
  return found.sort((a, b) => a[0] - b[0])[0];
})()"""


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


def troubled(service):
    """Have some of a service's collectors be in trouble of each kind, and all have made snapshots."""
    told = service.supervisor.service_status

    def status():
        now = told()
        kinds = {
            4: {"state": "misconfigured", "problems": ("reference_path: there is no file",)},
            7: {"failed": 2, "last_error": "ValueError: Column 'amount' is all NaN"},
            9: {"state": "evaluating", "sealed": 1},
        }
        down = {"state": "undelivered", "outbox": 3, "outbox_since": now.time - 840, "last_error": DOWN}
        kinds |= dict.fromkeys(range(20, 40), down)
        collectors = [replace(one, **kinds.get(at, {})) for at, one in enumerate(now.collectors)]
        return replace(now, collectors=tuple(collectors))

    service.supervisor.service_status = status


@pytest.fixture(autouse=True)
def _made_snapshots(monkeypatch):
    def made(score, *failed):
        drift = [("age", score), ("plan", 0.0)]
        return tuple(past(at, drift=drift, tests=14, failed=failed, values=[value_of(at)]) for at in range(50))

    async def read(_, collector_ids, *, is_whole=False):
        await trio.lowlevel.checkpoint()
        well, bad = made(0.05), made(0.3, "Share of missing values < 0.1")
        return {key: bad if key == "model-003" else well for key in collector_ids}

    monkeypatch.setattr(Looking, "_journal_pasts", read)


@pytest.fixture
def seen(make_service, browser):
    """Serve to a browser, which is driven by a thread: ``visit`` gets what opens an address of ours."""

    @asynccontextmanager
    async def opened(collectors=MANY, **fields):
        async with make_service(collectors=collectors, **fields) as service, service.serving():
            troubled(service)
            pages = []

            def open_page(path="/", **how):
                pages.append(browser.open(f"http://127.0.0.1:{service.port}{path}", **how))
                return pages[-1]

            async def visit(do):
                with trio.fail_after(PATIENCE):
                    return await trio.to_thread.run_sync(do, open_page)

            yield service, visit
            await trio.to_thread.run_sync(lambda: [page.close() for page in pages])

    return opened


def is_live(page):
    page.wait_for("document.getElementById('live').classList.contains('on')")
    return page


async def test_two_hundred_collectors_are_clicked_through(seen):
    def click_through(open_page):
        page = is_live(open_page())
        assert page.eval("document.querySelectorAll('#rows tr').length") == 200
        assert page.text("h1").endswith("23 of 200 collectors need attention")
        with page.leaving():
            page.click(".chips a:nth-child(2)")
        assert page.eval("document.querySelectorAll('#rows tr').length") == 22
        page.click("#q")
        page.type("model-02")
        with page.leaving():
            page.press("Enter")
        assert page.eval("location.search") == "?show=trouble&q=model-02"
        assert page.eval("document.querySelectorAll('#rows tr').length") == 10
        with page.leaving():
            page.click("#rows a.name")
        assert page.text("h1") == "model-020"
        is_live(page)
        assert DOWN in page.text("#state")
        assert page.eval("document.querySelectorAll('#snapshots tbody tr').length") == 50
        assert page.eval("document.querySelectorAll('.plot').length") >= 3
        with page.leaving():
            page.click(".actions button")
        assert page.text(".notice") == "No rows wait, so nothing was evaluated."
        with page.leaving():
            page.click("nav.path a")
        assert page.eval("location.pathname") == "/"
        assert page.complaints == []
        assert all(address.startswith("http://127.0.0.1:") for address in page.fetched)

    async with seen() as (_, visit):
        await visit(click_through)


async def test_the_keyboard_reaches_all_and_the_focus_is_seen(seen):
    def press_keys(open_page):
        page = is_live(open_page())
        reached = []
        while (page.press("Tab") or page.focused()[0] != "BODY") and len(reached) < 100:
            reached.append(page.focused()[1])
            assert page.eval("getComputedStyle(document.activeElement).outlineStyle") != "none", reached
        assert reached[:2] == ["Skip to the content", "Evidently collector"]
        assert {"All 5", "q", "Find", "model-000", "model-004"} <= set(reached)
        page.eval("document.querySelector('#rows a.name').focus()")
        with page.leaving():
            page.press("Enter")
        assert page.eval("location.pathname").startswith("/-/collectors/")
        assert page.complaints == []

    async with seen(collectors=MANY[:5]) as (_, visit):
        await visit(press_keys)


async def test_what_changes_is_shown_while_a_person_looks_and_the_focus_stays(seen):
    async with seen(collectors=("main", "other")) as (service, visit):

        def look(open_page):
            page = is_live(open_page())
            page.eval("document.querySelector('#rows a[href$=main]').focus()")
            trio.from_thread.run(service.post, "/main/data", b'{"a": {"0": 1}}')
            page.wait_for("document.querySelector('#rows').innerText.includes('1 / 1000')")
            told = service.supervisor.service_status
            service.supervisor.service_status = lambda: replace(
                told(), collectors=tuple(replace(one, failed=int(one.id == "main")) for one in told().collectors)
            )
            page.wait_for("document.querySelector('#rows').innerText.includes('1 batch failed')")
            page.wait_for("document.querySelector('h1').innerText.includes('need')")
            assert page.focused() == ["A", "main"]
            page.wait_for("document.title.startsWith('(')")
            assert page.complaints == []

        await visit(look)


async def test_without_scripts_it_is_whole(seen):
    def use(open_page):
        page = open_page(is_script=False)
        assert "without JavaScript this page isn't updated" in page.text("#live")
        assert page.eval("document.querySelectorAll('#rows tr').length") == 5
        page.click("#q")
        page.type("004")
        with page.leaving():
            page.press("Enter")
        assert page.eval("document.querySelectorAll('#rows tr').length") == 1
        with page.leaving():
            page.click("#rows a.name")
        with page.leaving():
            page.click(".actions button")
        assert "No rows wait" in page.text(".notice")
        assert page.complaints == []

    async with seen(collectors=MANY[:5]) as (_, visit):
        await visit(use)


@pytest.mark.parametrize(
    ("width", "is_dark"),
    [
        (360, True),
        (1280, False),
        pytest.param(360, False, marks=pytest.mark.slow),  # the width and the light of the two above
        pytest.param(1280, True, marks=pytest.mark.slow),
    ],
)
async def test_it_is_read_in_any_light_and_width(seen, width, is_dark):
    def look(open_page):
        for path in ("/", "/-/collectors/model-003", "/-/collectors/nothing", "/-/login"):
            page = open_page(path, width=width, is_dark=is_dark)
            ratio, where = page.eval(LOWEST_CONTRAST)
            assert ratio >= 4.5, where
            assert page.eval("document.documentElement.scrollWidth") == width, path

    async with seen(collectors=MANY[:30]) as (_, visit):
        await visit(look)


async def test_who_cannot_see_it_is_told_what_each_thing_is(seen):
    def read(open_page):
        for path in ("/", "/-/collectors/model-007", "/-/login"):
            nodes = open_page(path).call("Accessibility.getFullAXTree")["nodes"]
            nameless = [
                node
                for node in nodes
                if not node["ignored"]
                and node["role"]["value"]
                in {"link", "button", "textbox", "searchbox", "image", "progressbar", "region"}
                and not node.get("name", {}).get("value")
            ]
            assert nameless == []
            assert len(nodes) > 10

    async with seen(collectors=MANY[:9]) as (_, visit):
        await visit(read)


async def test_a_person_signs_in_and_out(seen):
    def sign(open_page):
        page = open_page("/?show=trouble")
        page.wait_for("document.activeElement.id === 'secret'")
        page.type("hunter2")
        with page.leaving():
            page.press("Enter")
        assert page.eval("location.pathname + location.search") == "/?show=trouble"
        is_live(page)
        assert page.eval("document.cookie") == ""
        with page.leaving():
            page.click(".top button")
        assert page.eval("location.pathname") == "/-/login"
        assert page.complaints == []

    async with seen(collectors=MANY[:5], secret="hunter2") as (_, visit):
        await visit(sign)
