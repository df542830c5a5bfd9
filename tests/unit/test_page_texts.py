"""The page for people, of made-up values: its texts, its picture of a day, and that nothing strange gets through."""

from __future__ import annotations

import base64
import re
import string
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from support.pages import PAGES, ROOT, text

from tokenworker.credentials import KINDS
from tokenworker.durations import Durations
from tokenworker.store.history import Event
from tokenworker.web.page import board, page
from tokenworker.web.page.advice import advice, said
from tokenworker.web.page.board import Board, Question, Row
from tokenworker.web.page.day import Span, day
from tokenworker.web.page.timeline import PAST, summary, svg
from tokenworker.web.page.words import LANGUAGES, TEXTS, Language, chosen, words
from tokenworker.web.quotas import Quota
from tokenworker.wechat.errcodes import TABLES, UNKNOWN
from tokenworker.worker.status import Status

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
PAGE = ROOT / "tokenworker" / "web" / "page"
QUOTA = Quota(11, 2000, DAY)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}&lt;"
ENGLISH, CHINESE = (words(language) for language in LANGUAGES)


def status(**facts: Any) -> Status:
    """Return how a healthy credential is, but for some facts."""
    texts = ("name", "fingerprint", "error", "hint", "rejected", "probe_error", "publish_error")
    numbers = ["fetched_at", "refresh_at", "fetches_today", "forced_today", "failures", "failed_at", "retry_at"]
    numbers += ["in_doubt_since", "probed_at", "early_deaths"]
    known: dict[str, Any] = dict.fromkeys(texts, "") | dict.fromkeys(numbers, 0)
    known |= {"account": "wx1", "credential": "access_token", "state": "live", "sandbox": False, "now": NOW}
    known |= {"expires_at": NOW + 60, "expires_in": 60.0, "lease_left": None, "errcode": None}
    return cast("Status", known | facts)


def seen(*rows: Row, **facts: Any) -> Board:
    """Return a board with these rows."""
    counts = {it: sum(row.condition == it for row in rows) for it in board.CONDITIONS}
    known: dict[str, Any] = {"accounts_error": "", "clients_error": "", "ticked_ago": 2.0, "workers": {"w:1": 0.5}}
    known |= {"now": NOW, "durations": Durations(), "counts": counts, "accounts": len(rows), "readers": {}}
    return Board(**known | {"found": len(rows), "first": 0, "rows": rows} | facts)


def rendered(*rows: Row, language: Language = "en", question: Question = Question(), **facts: Any) -> str:  # noqa: B008
    return page.render(seen(*rows, **facts), question, words(language))


class Elements(HTMLParser):
    """The elements of a page, each with its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == [], "elements that are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.all if name == tag]


# Texts


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_says_the_same_in_both_languages(name: str) -> None:
    english, chinese = TEXTS[name]

    def holes(text: str) -> set[str | None]:
        return {hole for _, hole, _, _ in string.Formatter().parse(text)} - {None}

    assert english.strip()
    assert chinese.strip()
    assert holes(chinese) == holes(english.partition("|")[2] or english) | (holes(english) - {"n"})


def test_every_text_is_used_and_every_one_used_is_there() -> None:
    sources = [path for kind in ("*.py", "templates/*.html") for path in PAGE.glob(kind) if path.name != "words.py"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    code += (PAGE / "words.py").read_text(encoding="utf-8").partition("class Words")[2]
    named = set(re.findall(r'\b(?:w|words|_words|self)\(["\'](\w+)["\'][,)]', code))
    # The names of these are put together.
    parts = ("cause_", "legend_", "refreshed_", "probed_", *board.CONDITIONS)

    assert named - TEXTS.keys() == set()
    assert [name for name in TEXTS if not re.search(rf"[\"']{name}[\"']", code) and not name.startswith(parts)] == []


def test_what_to_do_is_said_in_chinese_for_every_error() -> None:
    hints = {UNKNOWN[1]} | {hint for table in TABLES.values() for _, hint in table.values()}
    hints |= {hint for kind in KINDS for hint in kind.hints.values()}

    for hint in filter(None, hints):
        told = said(hint.replace("{ip}", "120.208.99.249"), "zh-CN")
        assert re.search("[\u4e00-\u9fff]", told), hint
        assert ("120.208.99.249" in told) == ("{ip}" in hint)


def test_who_does_not_know_the_ip_is_not_shown_one() -> None:
    hint = "add this server's public IP to the IP whitelist of this account in WeChat's console"

    told = advice("WeChat answered 40164 no", 40164, hint, "wx1", CHINESE)

    assert told.ip == ""
    assert told.text == "在微信公众平台把 这台服务器的公网 IP 加入这个账号的 IP 白名单"


def test_a_sentence_of_nobody_stays_as_it_is() -> None:
    assert said("no answer within 8 s", "zh-CN") == "no answer within 8 s"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.1, zh;q=0.7", "zh-CN"),
        ("fr, de;q=0.9, zh;q=0.2", "zh-CN"),
        ("zh;q=0, en", "en"),
        ("fr", "en"),
        ("zh;q=nonsense, en;q=0.1", "en"),
        (";;;,,q=", "en"),
    ],
)
def test_the_language_is_the_one_that_the_browser_prefers(accepted: str, language: str) -> None:
    assert chosen(accepted) == language


def test_a_language_that_is_asked_for_wins() -> None:
    assert chosen("zh-CN", "en") == "en"
    assert chosen("zh-CN", "tlh") == "zh-CN"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.083, "0.083 s"), (59.9, "59 s"), (60, "1 min"), (599, "9 min 59 s"), (600, "10 min")],
)
def test_a_length_of_time_is_as_exact_as_people_want_it(seconds: float, text: str) -> None:
    assert ENGLISH.duration(seconds) == text
    assert ENGLISH.duration(2 * HOUR) == "2 h"
    assert ENGLISH.duration(2 * HOUR + 65) == "2 h 01 min"
    assert CHINESE.duration(2 * HOUR + 65) == "2 小时 01 分"


# The day


LIVE = Span(NOW - HOUR, NOW + HOUR)


def refreshed(ago: float, life: float = 2 * HOUR, **facts: Any) -> Event:
    known = {"at": NOW - ago, "event": "refreshed", "outcome": "committed", "expires_at": NOW - ago + life}
    return cast("Event", known | facts)


def test_a_life_lasts_until_the_next_one() -> None:
    it = day([refreshed(HOUR), refreshed(3 * HOUR, 3 * HOUR)], NOW, DAY, LIVE)

    assert it.lives == (Span(NOW - 3 * HOUR, NOW - HOUR), Span(NOW - HOUR, NOW + HOUR))
    assert it.gaps == ()


def test_where_one_ran_out_there_is_a_gap() -> None:
    it = day([refreshed(3 * HOUR), refreshed(6 * HOUR)], NOW, DAY)

    assert it.gaps == (Span(NOW - 4 * HOUR, NOW - 3 * HOUR), Span(NOW - HOUR, NOW))
    assert it.missed == 2 * HOUR


def test_a_death_ends_a_life() -> None:
    dead = cast("Event", {"at": NOW - HOUR, "event": "probed", "outcome": "dead"})

    it = day([dead, refreshed(1.5 * HOUR)], NOW, DAY)

    assert it.lives == (Span(NOW - 1.5 * HOUR, NOW - HOUR),)
    assert it.gaps == (Span(NOW - HOUR, NOW),)


def test_the_same_one_again_is_one_life() -> None:
    again = [refreshed(HOUR, fingerprint="f1"), refreshed(1.5 * HOUR, fingerprint="f1")]

    it = day([*again, refreshed(2 * HOUR, fingerprint="f0")], NOW, DAY, LIVE)
    html = rendered(Row(status(), "live", again, QUOTA, whole=True))

    assert it.lives == (Span(NOW - 2 * HOUR, NOW - 1.5 * HOUR), Span(NOW - 1.5 * HOUR, NOW + HOUR))
    assert Elements(html).text.count("f1 (the same one again)") == 1


def test_what_came_too_late_is_no_life() -> None:
    assert day([refreshed(HOUR, outcome="refused")], NOW, DAY).lives == ()


def test_a_credential_whose_history_is_lost_has_the_life_that_it_has() -> None:
    assert day([], NOW, DAY, LIVE).lives == (LIVE,)
    assert day([refreshed(HOUR)], NOW, DAY, LIVE).lives == (LIVE,)


def test_of_one_that_somebody_deleted_nothing_lies_ahead() -> None:
    assert day([refreshed(HOUR)], NOW, DAY).lives == (Span(NOW - HOUR, NOW),)


def test_what_is_older_than_the_day_is_left_out() -> None:
    it = day([refreshed(30 * HOUR), cast("Event", {"at": NOW - 25 * HOUR, "event": "failed"})], NOW, DAY)

    assert (it.lives, it.marks, it.counts) == ((), (), {})


def test_the_picture_says_in_words_what_it_shows() -> None:
    events = [cast("Event", {"at": NOW - 60 * n, "event": "failed"}) for n in (1, 2)]
    it = day([*events, refreshed(3 * HOUR), refreshed(4 * HOUR)], NOW, DAY)

    assert summary(it, ENGLISH) == "Last 24 h: 2 refreshes, 2 errors, 1 h without a credential."
    assert summary(it, CHINESE) == "最近 24 小时\N{FULLWIDTH COLON}刷新 2 次、出错 2 次、1 小时没有凭据。"
    assert f'role="img" aria-label="{summary(it, ENGLISH)}"' in svg(it, ENGLISH)


def test_a_moment_lies_where_it_should() -> None:
    it = day([refreshed(12 * HOUR, HOUR)], NOW, DAY)

    [bar] = re.findall(r'class="life" x="([\d.]+)%" y="14" width="([\d.]+)%"', svg(it, ENGLISH))

    assert float(bar[0]) == pytest.approx(PAST / 2, abs=0.01)
    assert float(bar[1]) == pytest.approx(PAST / 24, abs=0.2)


def test_marks_that_would_lie_on_each_other_are_one() -> None:
    events = [cast("Event", {"at": NOW - n, "event": "failed"}) for n in range(0, 3600, 15)]

    assert svg(day(events, NOW, DAY), ENGLISH).count("#mark-failed") <= 6


@pytest.mark.parametrize("at", [float("nan"), float("inf"), "yesterday", None, True])
@pytest.mark.parametrize("expires_at", [float("nan"), "soon", None, -1, 1e300])
def test_strange_events_do_no_harm(at: Any, expires_at: Any) -> None:
    strange = cast("list[Event]", [{"at": at, "event": "refreshed", "outcome": "committed", "expires_at": expires_at}])
    strange += cast("list[Event]", [{"at": NOW - 5, "event": HOSTILE}, {"at": NOW - 9, "expires_at": expires_at}])
    strange += cast("list[Event]", [{**strange[0], "at": NOW - 20}])

    picture = svg(day(strange, NOW, DAY), ENGLISH)

    assert "nan" not in picture
    assert "<script" not in picture


# The pictures of it


def test_the_docs_show_every_picture_and_none_is_large() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "screenshots").glob("*.png")}
    shown = [name for page in PAGES for name in re.findall(r'screenshots/([\w.-]+)"', text(page))]

    assert len(pictures) == 8
    assert sorted(shown) == sorted(pictures)
    assert max(pictures.values()) < 200_000


# The whole


ROWS = (
    Row(
        status(state="missing", expires_in=None, expires_at=None, error="WeChat answered 1 x"),
        "missing",
        (),
        QUOTA,
        whole=True,
    ),
    Row(status(account="wx2", name="Shop"), "live", (refreshed(60), refreshed(7000)), QUOTA, whole=True),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "rows", [(), ROWS, (*ROWS, *(Row(row.status, row.condition, row.events, row.quota, whole=False) for row in ROWS))]
)
def test_the_page_is_well_formed(rows: tuple[Row, ...], language: Language) -> None:
    page = Elements(rendered(*rows, language=language))
    ids = [attributes["id"] for _, attributes in page.all if "id" in attributes]

    assert page.of("html")[0]["lang"] == language
    assert len(set(ids) - {"events-wx2:access_token"}) >= len(ids) - 4
    assert [tag for tag, _ in page.all].count("h1") == [tag for tag, _ in page.all].count("main") == 1


def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    page = Elements(rendered(*ROWS))

    assert [it for tag, it in page.all if "style" in it or any(name.startswith("on") for name in it)] == []
    assert [it["src"] for tag, it in page.all if "src" in it] == []
    assert all(it["href"].startswith("data:image/svg+xml,") for it in page.of("link"))
    assert all(it["href"].startswith("#") for it in page.of("use"))
    assert "url(" not in page_style()
    assert "@import" not in page_style()


def page_style() -> str:
    return (PAGE / "templates" / "page.css").read_text(encoding="utf-8")


def test_the_policy_names_just_what_stands_in_the_page() -> None:
    html, policy = rendered(*ROWS), page.Page.headers["Content-Security-Policy"]
    parts = {words[0]: words[1:] for words in (part.split() for part in policy.split("; "))}

    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(sha256(content.encode()).digest()).decode()
        assert parts[f"{tag}-src"] == [f"'sha256-{digest}'"]
    assert parts["default-src"] == parts["base-uri"] == parts["frame-ancestors"] == ["'none'"]
    assert "unsafe" not in policy


def test_whatever_a_name_or_an_error_holds_is_text() -> None:
    facts = dict.fromkeys(("account", "credential", "name", "fingerprint", "error", "hint", "probe_error"), HOSTILE)
    event = {"at": NOW - 5, "event": "failed", "error": HOSTILE, "fingerprint": HOSTILE, "cause": HOSTILE}
    events = cast("tuple[Event, ...]", (event, {**event, "event": HOSTILE}, {**event, "event": "refreshed"}))
    row = Row(status(**facts, publish_error=HOSTILE, errcode=40164), "trouble", events, QUOTA, whole=True)
    readers = {HOSTILE: {"reads": 1}}

    html = rendered(
        row,
        question=Question(HOSTILE),
        accounts_error=HOSTILE,
        clients_error=HOSTILE,
        workers={HOSTILE: 1.0},
        readers=readers,
    )
    page = Elements(html)

    assert len(page.of("script")) == 1
    assert page.of("img") == []
    assert page.text.count(HOSTILE) >= 10
    assert all(re.fullmatch(r"https://[\w./?=]+|#\w+|\./|\?.*", it["href"]) for it in page.of("a"))


def test_what_is_wrong_with_the_whole_is_said() -> None:
    html = rendered(*ROWS[1:], workers={"w:1": 300.0}, ticked_ago=None, accounts_error="accounts.toml: line 3")
    text = Elements(html).text

    assert "Nobody keeps the credentials fresh" in text
    assert "Start one: without it nothing is refreshed" in text
    assert "accounts.toml: line 3" in text


def test_without_ticks_it_says_that_workers_manage_alone() -> None:
    never, late = (Elements(rendered(*ROWS[1:], ticked_ago=ago)).text for ago in (None, 400.0))

    assert "No tick has come for a day" in never
    assert "The last tick came 6 min 40 s ago" in late
    assert "last tick 6 min 40 s ago" in late


def test_a_missing_one_is_fetched_as_soon_as_it_may_be() -> None:
    facts = {"expires_at": None, "expires_in": None, "refresh_at": NOW + HOUR}
    soon, waiting = (
        Elements(rendered(Row(status(**facts, retry_at=at), "missing", (), QUOTA, whole=True))).text
        for at in (0, NOW + 30)
    )

    assert "a refresh is due now" in soon
    assert "next attempt in 30 s" in waiting


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ([], "No credential is kept yet"),
        (["live"], "All credentials work"),
        (["live", "trouble"], "All credentials work; 1 needs a look"),
        (["missing", "trouble"], "1 credential needs you"),
        (["missing", "contested"], "2 credentials need you"),
    ],
)
def test_the_first_line_says_how_all_is(conditions: list[board.Condition], verdict: str) -> None:
    text = Elements(rendered(*(Row(status(), condition, (), QUOTA, whole=True) for condition in conditions))).text

    assert text.strip().startswith(f"{verdict} · tokenworker")


def test_failures_that_go_on_are_one_line() -> None:
    error = "WeChat answered 40164 no rid: {:08x}"
    events = [{"at": NOW - n, "event": "failed", "errcode": 40164, "error": error.format(n)} for n in range(1, 100)]
    row = Row(status(), "trouble", cast("list[Event]", [*events, refreshed(500)]), QUOTA, whole=True)

    rows = Elements(rendered(row)).text

    assert rows.count("Failed: WeChat answered 40164") == 1
    assert "99 times since" in rows


def test_a_link_keeps_the_rest_of_the_question() -> None:
    given = {"q": " a&b ", "state": "missing", "page": "2", "lang": "zh-CN"}
    question = Question.of(lambda name: given.get(name, ""))

    assert question == Question("a&b", "missing", 2, "zh-CN")
    assert question.href(page=3) == "?q=a%26b&state=missing&lang=zh-CN&page=3"
    assert Question().href() == "./"


@pytest.mark.parametrize("number", ["-1", "0", "x", "٣", "9" * 5000, "1.5", ""])
def test_a_page_that_is_no_number_is_the_first(number: str) -> None:
    assert Question.of({"q": "", "state": "x", "page": number, "lang": "x"}.__getitem__).page == 1
