"""The README and the pages of docs/, in both languages: their blocks of code, headings and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def _pairs() -> list[tuple[str, str]]:
    names = {path.name for folder in ("docs", "docs/zh-CN") for path in (ROOT / folder).glob("*.md")}
    return [("README.md", "README.zh-CN.md"), *((f"docs/{name}", f"docs/zh-CN/{name}") for name in sorted(names))]


#: Each page in English and in Chinese; one that is there in one language only is here, too.
PAIRS = _pairs()
PAGES = [page for pair in PAIRS for page in pair if (ROOT / page).exists()]

#: Where the pages' Redis and accounts are.
URL = "redis://127.0.0.1:6389/0"
APPID = "wx0123456789abcdef"
WECOM = "ww0123456789abcdef/1000002"

#: Blocks in these languages read a token, and the conformance suite runs them; others of them are in ELSEWHERE.
OTHER_LANGUAGES = ("js", "php", "java", "go")

#: What is run elsewhere, or can't be, by how the block begins; each with the reason.
ELSEWHERE = {
    "make": "this is one of its tests; test_makefile.py and test_up.py run the parts",
    "WECHAT_APPID=wx… WECHAT_SECRET=… make up": "needs an account of WeChat's",
    "docker compose": "needs an engine; test_compose.py looks at the file",
    "docker build": "needs an engine and a cluster; test_kubernetes.py puts it together",
    "sudo": "needs systemd; test_systemd.py and test_confined.py have the units read and obeyed",
    "pip install": "needs a registry; the conformance suite installs the package into environments of its own",
    "redis-cli": "needs Redis's client; GET is what the reader does",
    "client = WeChatClient": "tests/conformance/wechatpy_app.py runs it",
    "const read = async": "tests/conformance/co-wechat-api.js runs it",
    "class RedisCache": "tests/conformance/node-easywechat.js runs it",
    "$app->setCache": "tests/conformance/cache.php runs the caches",
    "new WxMpRedisConfigImpl": "tests/conformance/java/wechat/OfficialAccount.java runs it",
    "static void report(": "tests/conformance/java/Web.java runs it",
    "WxMaDefaultConfigImpl config": "tests/conformance/java/wechat/MiniProgramOverHttp.java runs it",
    "WxMpService service": "tests/conformance/java/wechat/OfficialAccountOverHttp.java runs it",
    "WxCpDefaultConfigImpl config": "tests/conformance/java/wecom/WeComApplicationOverHttp.java runs it",
    "util.SetURIModifier(": "tests/conformance/go/web.go runs it",
    "type handle struct": "tests/conformance/go/web.go runs it",
    "class Client(WeChatClient)": "tests/conformance/wechatpy_over_http.py runs it",
    "const headers = {": "tests/conformance/co-wechat-api-over-http.js runs it",
    "wx.config(": "runs in WeChat's own browser alone",
    " beat ──tick──▶": "a drawing",
    " machine 1": "a drawing",
    '{"time":': "a line of a log; test_logs.py has them written",
    '{"ready":false': "an answer; test_health.py asks for them",
    "scrape_configs": "settings of Prometheus; test_metrics.py reads what is scraped",
    "REDIS_URL=sentinel": "test_sentinel.py runs everything on it",
    "# redis.conf": "settings of servers; test_roles.py and the tests of Sentinels run their parts",
}

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"\s+(#|//) .*")
_HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block: what it is written in, and its code without remarks, which are the same in no two languages."""

    page: str
    language: str
    code: str

    @property
    def bare(self) -> str:
        return _COMMENT.sub("", self.code)

    @property
    def first(self) -> str:
        return self.bare.splitlines()[0].removeprefix("$ ")

    @property
    def is_elsewhere(self) -> bool:
        return any(self.first.startswith(words) for words in ELSEWHERE)

    @property
    def is_example(self) -> bool:
        """Say whether it reads a token in another language."""
        return self.language in OTHER_LANGUAGES and APPID in self.code

    def __str__(self) -> str:
        return f"{self.page.removesuffix('.md')}-{self.language}-{self.first[:40]}"


def text(page: str) -> str:
    """Return what a page says."""
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """Return what a page says, without its blocks of code."""
    return _BLOCK.sub("", text(page))


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page."""
    return [Block(page, language, code) for language, code in _BLOCK.findall(text(page))]


def headings(page: str) -> list[tuple[int, str]]:
    """Return the headings of a page, each with its level."""
    return [(len(level), title) for level, title in _HEADING.findall(prose(page))]


def anchors(page: str) -> list[str]:
    """Return what links can name on a page, as GitHub makes it of the headings."""
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(page)]


def links(page: str) -> list[str]:
    """Return the links of a page that lead to this checkout."""
    return [link for link in _LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]


ALL = [block for page in PAGES for block in blocks(page)]
RUNNABLE = [block for block in ALL if not block.is_elsewhere and not block.is_example]
