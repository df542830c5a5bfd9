"""The blocks of code in the README, in both languages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from support.processes import ROOT

PAGES = ("README.md", "README.zh-CN.md")

#: Where the READMEs' Redis and account are.
URL = "redis://127.0.0.1:6389/0"
APPID = "wx0123456789abcdef"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"\s+(#|//) .*")


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

    def __str__(self) -> str:
        return f"{self.page.removesuffix('.md')}-{self.language}-{self.first[:40]}"


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page that say what they are written in."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(page, language, code) for language, code in _BLOCK.findall(text)]


ALL = [block for page in PAGES for block in blocks(page)]
