"""A headless Chromium, driven over its DevTools pipe: pages are opened, clicked, typed into and looked at."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryDirectory

import pytest

PATIENCE = 240.0  # far more than a page takes, also where all processors are busy
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # which root can't have
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser reads from its descriptor 3, and writes to 4.
_AT_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "Escape": (27, ""), "ArrowDown": (40, ""), "Space": (32, " ")}


class Browser:
    """A running Chromium; see running_browser."""

    def __init__(self, process, commands, answers):
        self._process = process
        self._commands = commands
        self._answers = answers
        self._numbers = count(1)
        self._unread = b""
        self._listeners = {}

    def open(self, url, width=1280, height=900, *, is_dark=False, is_script=True):
        """Open a page in a context of its own, and return once it is loaded."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, context)
        self._listeners[session] = page.hear
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}],
        )
        page.call("Emulation.setScriptExecutionDisabled", value=not is_script)
        page.go(url)
        return page

    def call(self, method, session=None, **params):
        """Give a command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.read(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def read(self, deadline):
        """Return the next message; those that tell of a page are heard by it."""
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser doesn't answer"
            data = os.read(self._answers, 2**20)
            assert data, "the browser is gone"
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        said = json.loads(message)
        if "method" in said and (listener := self._listeners.get(said.get("sessionId"))):
            listener(said["method"], said["params"])
        return said


class Page:
    """A page in a tab; ``complaints`` are what the browser's console says is wrong, ``fetched`` all addresses."""

    def __init__(self, browser, session, context):
        self._browser = browser
        self._session = session
        self._context = context
        self._is_loaded = False
        self.complaints = []
        self.fetched = []

    def call(self, method, **params):
        """Give a command to this page."""
        return self._browser.call(method, self._session, **params)

    def hear(self, method, params):
        """Take what the browser tells of this page."""
        match method:
            case "Page.loadEventFired":
                self._is_loaded = True
            case "Network.requestWillBeSent":
                self.fetched.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def go(self, url):
        """Go to an address, and return once it is loaded."""
        self._is_loaded = False
        self.call("Page.navigate", url=url)
        self.wait_loaded()
        # That may have been the empty page, which it was before.
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def wait_loaded(self):
        """Return once the page that was gone to is loaded."""
        deadline = time.monotonic() + PATIENCE
        while not self._is_loaded:
            self._browser.read(deadline)

    @contextmanager
    def leaving(self):
        """Return from the block once the page that it leads to is loaded."""
        self._is_loaded = False
        yield
        self.wait_loaded()

    def resize(self, width, height=900):
        """Show it as wide and high as this."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def eval(self, expression):
        """Return what a JavaScript expression gives."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, expression, seconds=PATIENCE):
        """Return the first true value that a JavaScript expression gives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := self.eval(expression):
                return value
            time.sleep(0.05)
        return pytest.fail(f"{expression} didn't come in {seconds:g} s; the page says: {self.text()}")

    def text(self, selector="body"):
        """Return what a person reads in the first element that a selector finds."""
        return self.eval(f"document.querySelector({json.dumps(selector)})?.innerText")

    def click(self, selector):
        """Click the middle of the first element that a selector finds."""
        x, y = self.eval(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)});"
            " it.scrollIntoView({block: 'center'});"
            " const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        """Press a key, by its name in the DOM."""
        code, text = _KEYS[key]
        named = {"key": key if key != "Space" else " ", "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text):
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def focused(self):
        """Return the tag, and the name or text, of what has the focus."""
        return self.eval(
            "[document.activeElement.tagName, document.activeElement.name || document.activeElement.innerText.trim()]"
        )

    def screenshot(self, path, *, is_whole=True):
        """Write a picture of the page, as long as it is or of what is seen of it."""
        picture = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=is_whole, **self._clip(is_whole)
        )
        path.write_bytes(base64.b64decode(picture["data"]))

    def _clip(self, is_whole):
        if not is_whole:
            return {}
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def close(self):
        """Close it with all that it keeps."""
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)


@contextmanager
def running_browser():
    """Run a Chromium whose profile is new and goes with it."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        to_read, commands, answers, to_write = _pipes()
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _AT_3_AND_4, str(to_read), str(to_write), *command],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            yield Browser(process, commands, answers)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            os.close(commands)
            os.close(answers)


def _pipes():
    """Open two pipes whose descriptors are none of those that the browser is to have."""
    low = [*os.pipe(), *os.pipe()]
    high = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10) for one in low]
    for one in low:
        os.close(one)
    return high
