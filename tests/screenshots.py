"""Take the pictures of the status page that the docs show: `.venv/bin/python tests/screenshots.py [FOLDER]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from support import lived
from support.chromium import Chromium, Page, running
from support.processes import ROOT, RedisServer
from support.web import Web

FOLDER = ROOT / "docs" / "screenshots"
#: How wide and high each is: a desk's screen, and a phone's.
SIZES = {"wide": (1440, 1000), "narrow": (390, 844)}
LANGUAGES = {"en": "", "zh-CN": "-zh-CN"}
#: The one font that is there for both languages, where Chromium would take another than people have.
FONT = "document.body.style.fontFamily = 'Noto Sans CJK SC'"


def take(browser: Chromium, url: str, folder: Path) -> None:
    """Take all, in light and dark."""
    for size, (width, height) in SIZES.items():
        for language, ending in LANGUAGES.items():
            for dark in (False, True):
                page = Page(browser, width=width, height=height, dark=dark, language=language)
                page.open(url)
                page.run(FONT)
                name = f"status-{size}-{'dark' if dark else 'light'}{ending}.png"
                print(page.screenshot(folder / name), (folder / name).stat().st_size)
                page.close()


def main(folder: Path) -> None:
    """Write a firm's day into a Redis of our own, and look at it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        server = RedisServer(Path(name))
        server.start()
        try:
            with server.client() as client:
                lived.write(client, lived.firm(), {"worker-7f9c:1": 0.8, "worker-b2d1:1": 1.4})
            with Web(server.url) as web, running(Path(name, "c")) as browser:
                web.held.store.usage.add(lived.READ)
                take(browser, web.url, folder)
        finally:
            server.kill()


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else FOLDER)
