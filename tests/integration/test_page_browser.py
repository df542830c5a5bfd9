"""The page for people as a browser shows it: at a desk and on a phone, in the dark, by keyboard, without scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from support import lived
from support.chromium import Chromium, Page
from support.processes import RedisServer
from support.web import Web

from tokenworker.demo import DEMO_AGENT, DEMO_APPID, DEMO_CORPID

pytestmark = pytest.mark.xdist_group("chromium")

DESK, PHONE, SMALL_PHONE = 1440, 390, 320
#: Of each element with text of its own: how far its colour is from what lies behind, and whether it is large.
CONTRASTS = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const seen = (color, under) => {
    canvas.globalCompositeOperation = "source-over";
    canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return `rgb(${[...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)})`;
  };
  const behind = it => it ? seen(getComputedStyle(it).backgroundColor, behind(it.parentElement)) : "white";
  const light = color => color.match(/[0-9]+/g).map(it => it / 255)
    .map(it => it <= .04045 ? it / 12.92 : ((it + .055) / 1.055) ** 2.4)
    .reduce((sum, it, place) => sum + it * [.2126, .7152, .0722][place], 0);
  const found = [];
  for (const it of document.querySelectorAll("body *")) {
    const own = [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || it.closest("script, .unseen, [hidden]") || !it.getClientRects().length) continue;
    const style = getComputedStyle(it), back = behind(it.closest("svg")?.parentElement ?? it);
    const [one, other] = [seen(it.closest("svg") ? style.fill : style.color, back), back].map(light);
    const large = parseFloat(style.fontSize) >= 24 || parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
    const contrast = (Math.max(one, other) + .05) / (Math.min(one, other) + .05);
    if (contrast < (large ? 3 : 4.5)) found.push([it.textContent.trim().slice(0, 30), contrast.toFixed(2)]);
  }
  return found;
})()
"""
#: Words that are broken in the middle, or whose letters stand in several lines; ids and codes may be.
BROKEN = """
(() => {
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = new Range();
  for (let text; (text = texts.nextNode());) {
    const it = text.parentElement, whole = it.closest(".word, button, .states a");
    if (it.closest("script, style, code, pre, .id, .unseen, [hidden]") || !it.checkVisibility()) continue;
    for (const word of text.data.matchAll(whole ? /\\S.*/g : /(?<![\\p{L}\\p{N}_])[a-z']+(?![\\p{L}\\p{N}_])/giu)) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map(it => Math.round(it.top))).size > 1) found.push(word[0]);
    }
  }
  return found;
})()
"""
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"

Open = Callable[..., Page]


@pytest.fixture
def web(server: RedisServer, client: redis.Redis) -> Iterator[Web]:
    lived.write(client, lived.firm(), {"worker-7f9c:1": 0.8})
    with Web(server.url) as web:
        web.held.store.usage.add(lived.READ)
        yield web


@pytest.fixture
def open_page(web: Web, chromium: Chromium) -> Iterator[Open]:
    """Return a function that opens the page, or another path, in a tab of its own."""
    pages: list[Page] = []

    def opened(path: str = "/", **options: Any) -> Page:
        pages.append(Page(chromium, **options))
        pages[-1].open(web.url + path)
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


@pytest.mark.parametrize(
    ("width", "dark", "language"),
    [(DESK, False, "en"), (DESK, True, "zh-CN"), (PHONE, False, "zh-CN"), (PHONE, True, "en")],
)
def test_it_can_be_read_everywhere(web: Web, open_page: Open, width: int, dark: bool, language: str) -> None:
    page = open_page(width=width, dark=dark, language=language)

    assert page.overflow <= 0
    assert page.run(CONTRASTS) == []
    assert page.complaints == []
    assert {url for url in page.requests if not url.startswith("data:")} == {web.url + "/"}
    assert lived.IP in page.text
    shade = page.run("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0] < 128")
    assert shade is dark


def made_up() -> list[lived.Lived]:
    """Return credentials of the sandbox's accounts, one in each condition."""
    agent = f"{DEMO_CORPID}/{DEMO_AGENT}"
    return [
        replace(lived.refused(), account=DEMO_APPID, name="", credential="jsapi_ticket"),
        replace(lived.contested(), account=DEMO_APPID, name=""),
        replace(lived.unanswered(), account=agent),
        lived.healthy(agent, "Field service", 51, "agent_ticket"),
    ]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("width", [SMALL_PHONE, PHONE, DESK])
def test_no_word_is_broken(client: redis.Redis, open_page: Open, width: int, language: str) -> None:
    lived.write(client, made_up())
    page = open_page(width=width, language=language)

    assert page.run("document.querySelectorAll('.condition .muted').length") == len(made_up())
    assert page.run(BROKEN) == []
    assert page.overflow <= 0


def test_it_is_all_there_without_scripts(open_page: Open) -> None:
    page = open_page("/?q=warehouse", javascript=False)

    assert "Warehouse" in page.text
    assert "12 events of the last day" in page.text
    assert "Pause" not in page.text
    assert page.complaints == []


def test_the_keyboard_reaches_everything(open_page: Open) -> None:
    page = open_page(width=PHONE)
    wanted = page.run("[...document.querySelectorAll('a, button, input, summary')].filter(it => !it.hidden).length")
    focus = "document.activeElement === document.body ? '' : getComputedStyle(document.activeElement).outlineStyle"
    reached = []
    for _ in range(wanted + 2):
        page.press("Tab")
        reached.append(page.run(focus))

    assert reached.count("solid") + reached.count("auto") >= wanted
    assert "none" not in reached


def test_the_first_stop_leads_to_the_credentials(open_page: Open) -> None:
    page = open_page()

    page.press("Tab")
    assert page.run("document.activeElement.getBoundingClientRect().top") >= 0
    page.press("Enter")

    page.wait("document.activeElement.id === 'list'")


def test_a_search_needs_no_mouse(open_page: Open) -> None:
    page = open_page()

    page.run("document.getElementById('q').focus()")
    page.ask("Input.insertText", text="flagship")
    page.press("Enter")
    page.wait("location.search === '?q=flagship'")

    page.wait("document.querySelectorAll('h3 .name').length === 2")


def test_a_screen_reader_finds_its_way(open_page: Open) -> None:
    nodes = open_page().ask("Accessibility.getFullAXTree")["nodes"]
    told = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and "role" in node
    ]
    roles = [role for role, _ in told]

    assert roles.count("main") == roles.count("search") == 1
    assert {"navigation", "contentinfo", "list", "table", "rowheader", "columnheader"} <= set(roles)
    assert ("heading", "2 credentials need you") in told
    assert ("heading", "Members' club access_token") in told
    assert ("searchbox", "Account, by id or name") in told
    assert [name for role, name in told if role == "image" and "without a credential" in name]
    nameless = {"link", "button", "heading", "image", "searchbox", "region", "navigation", "DisclosureTriangle"}
    assert [role for role, name in told if role in nameless and not name.strip()] == []


def test_nothing_moves_for_those_who_want_that(open_page: Open) -> None:
    moves = "getComputedStyle(document.querySelector('button')).transitionDuration"

    assert open_page(still=True).run(moves) == "0s"


def test_it_shows_by_itself_what_is_new(client: redis.Redis, open_page: Open) -> None:
    page = open_page()
    page.run("[...document.querySelectorAll('details')].slice(0, 2).forEach(it => it.open = true)")
    page.run("document.querySelector('.states a').focus()")
    client.set(lived.KEYS.value(lived.refused().id), "made-up", px=60_000)

    page.run(REFRESH)
    page.wait("document.querySelector('h1').textContent === '1 credential needs you'")

    assert page.run("document.querySelectorAll('details[open]').length") == 2
    assert page.run("document.activeElement.matches('.states a')")
    assert page.run("document.title").startswith("1 credential needs you")


def test_it_does_not_change_what_somebody_reads(client: redis.Redis, open_page: Open) -> None:
    page = open_page()
    page.run("getSelection().selectAllChildren(document.querySelector('code.copied'))")
    client.set(lived.KEYS.value(lived.refused().id), "made-up", px=60_000)

    page.run(f"{REFRESH}; new Promise(done => setTimeout(done, 300))")

    assert page.run("document.querySelector('h1').textContent") == "2 credentials need you"


def test_what_is_old_is_said_to_be_old(server: RedisServer, chromium: Chromium) -> None:
    page = Page(chromium)
    with Web(server.url) as web:
        page.open(web.url)
    page.run(REFRESH)

    page.wait("!document.getElementById('lost').hidden")

    assert "tokenworker web does not answer: what you see is from" in page.text
    page.close()


def test_an_ip_can_be_copied(open_page: Open, chromium: Chromium) -> None:
    chromium.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page = open_page()
    page.ask("Page.bringToFront")

    page.run("document.querySelector('[data-copy]').click()")
    page.wait("document.querySelector('[data-copy]').textContent === 'Copied'")

    assert page.run("navigator.clipboard.readText()") == lived.IP
