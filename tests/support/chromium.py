"""A headless Chromium, by its DevTools protocol: what people see of a page, and what they can do with it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import pytest

#: Debian's package, and what others call it.
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: As root, in containers: no sandbox of its own, little shared memory. Nothing is asked of the outside.
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--force-color-profile=srgb", "--font-render-hinting=none", "--remote-debugging-pipe"),
)
#: Chromium reads commands from file 3 and writes answers to file 4.
_PLACED = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_PATIENCE = 20.0


def program() -> str:
    """Return the path of a Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if not found:
        pytest.skip("there is no Chromium here: apt-get install chromium fonts-noto-cjk")
    return found


class Chromium:
    """One browser, in a folder of its own."""

    def __init__(self, path: str, folder: Path) -> None:
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        # High numbers, so that 3 and 4 are free to be theirs.
        ends = [os.dup2(end, 200 + place) for place, end in enumerate((commands, answers))]
        options = (*_OPTIONS, f"--user-data-dir={folder}")
        placed = [sys.executable, "-c", _PLACED, *map(str, ends), path, *options, "about:blank"]
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(placed, pass_fds=ends, env=os.environ | {"HOME": str(folder)}, **quiet)
        for end in (commands, answers, *ends):
            os.close(end)
        self._rest = b""
        self._number = 0
        #: What it told without being asked.
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and return what it answers."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        os.write(self._write, json.dumps(command | ({"sessionId": session} if session else {})).encode() + b"\0")
        end = time.monotonic() + _PATIENCE
        while (message := self._next(end)).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, (method, message["error"])
        result: dict[str, Any] = message["result"]
        return result

    def await_event(self, method: str, session: str) -> None:
        """Wait until it tells of something that happens in a page."""
        end = time.monotonic() + _PATIENCE
        while not any(told["method"] == method and told.get("sessionId") == session for told in self.events):
            self.events.append(self._next(end))

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select([self._read], [], [], max(0.0, end - time.monotonic()))[0], "Chromium does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "Chromium ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def close(self) -> None:
        """End it."""
        os.close(self._write)
        os.close(self._read)
        self._process.terminate()
        self._process.wait(_PATIENCE)


class Page:
    """A tab, so wide, in light or dark, as a person of that language sees it; with headers of its own."""

    def __init__(
        self,
        browser: Chromium,
        *,
        width: int = 1440,
        height: int = 900,
        dark: bool = False,
        language: str = "en",
        headers: Mapping[str, str] | None = None,
        javascript: bool = True,
        still: bool = False,
    ) -> None:
        self._browser = browser
        self._target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.ask("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.ask(f"{domain}.enable")
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        media = {"prefers-color-scheme": "dark" if dark else "light"}
        media |= {"prefers-reduced-motion": "reduce"} if still else {}
        self.ask("Emulation.setEmulatedMedia", features=[{"name": name, "value": it} for name, it in media.items()])
        self.ask("Network.setExtraHTTPHeaders", headers={"Accept-Language": language, **(headers or {})})
        self.ask("Emulation.setScriptExecutionDisabled", value=not javascript)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command about this page and return what comes of it."""
        return self._browser.ask(method, self._session, **params)

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        self._forget("Page.loadEventFired")
        failure = self.ask("Page.navigate", url=url).get("errorText")
        assert not failure, failure
        self._browser.await_event("Page.loadEventFired", self._session)

    def run(self, script: str) -> Any:
        """Return what a piece of JavaScript says, awaited if it is a promise."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.run("document.body.innerText"))

    def press(self, key: str) -> None:
        """Press a key and let it go; by its name, such as Tab."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}.get(key, 0)
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            named = {"key": key, "code": key, "windowsVirtualKeyCode": code, **(text if kind == "keyDown" else {})}
            self.ask("Input.dispatchKeyEvent", type=kind, **named)

    def screenshot(self, path: Path, *, whole: bool = False) -> Path:
        """Write what is seen as a PNG; the `whole` page, or what fits."""
        if whole:
            size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=whole, **(clip if whole else {}))
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def wait(self, condition: str, timeout: float = 10.0) -> None:
        """Wait until a piece of JavaScript says something true."""
        end = time.monotonic() + timeout
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} in vain"
            time.sleep(0.05)

    @property
    def overflow(self) -> int:
        """By how many pixels it is wider than its window."""
        return int(self.run("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    @property
    def complaints(self) -> list[str]:
        """What its console shows: errors, and what its policy forbids."""
        mine = [told for told in self._browser.events if told.get("sessionId") == self._session]
        logs = [told["params"]["entry"] for told in mine if told["method"] == "Log.entryAdded"]
        thrown = [
            told["params"]["exceptionDetails"]["text"] for told in mine if told["method"] == "Runtime.exceptionThrown"
        ]
        return [entry["text"] for entry in logs if entry["level"] in ("error", "warning")] + thrown

    @property
    def requests(self) -> list[str]:
        """The URLs that it asked for."""
        mine = [told for told in self._browser.events if told.get("sessionId") == self._session]
        return [told["params"]["request"]["url"] for told in mine if told["method"] == "Network.requestWillBeSent"]

    def close(self) -> None:
        """Close the tab."""
        self._browser.ask("Target.closeTarget", targetId=self._target)

    def _forget(self, method: str) -> None:
        kept = [
            told for told in self._browser.events if (told["method"], told.get("sessionId")) != (method, self._session)
        ]
        self._browser.events[:] = kept


@contextmanager
def running(folder: Path) -> Iterator[Chromium]:
    """Run a Chromium; skips the test where there is none."""
    browser = Chromium(program(), folder)
    try:
        yield browser
    finally:
        browser.close()
