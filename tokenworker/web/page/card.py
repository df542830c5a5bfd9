"""One credential as the page tells of it: texts in the reader's language, made of its status and its events."""

from __future__ import annotations

from tokenworker.credential import CredentialId
from tokenworker.credentials.kind import HOUR
from tokenworker.web.page.board import Row
from tokenworker.web.page.day import Span, day
from tokenworker.web.page.past import Past
from tokenworker.web.page.remedy import Remedy
from tokenworker.web.page.timeline import svg
from tokenworker.web.page.words import Words


class Card:
    """One credential, as it is told of in one language; a day is `length` seconds long."""

    def __init__(self, row: Row, words: Words, length: float) -> None:
        self._row = row
        self._words = words
        self._length = length
        self.status = row.status
        self.condition = row.condition
        self.remedy = Remedy(row.status, row.condition, words)
        self.past = Past(row, words)

    @property
    def id(self) -> str:
        """Its id, for anchors and commands."""
        return str(CredentialId(self.status["account"], self.status["credential"]))

    @property
    def heading(self) -> str:
        """What people call the account."""
        return self.status["name"] or self.status["account"]

    @property
    def state(self) -> str:
        """How it is, in a word."""
        return self._words(self.condition)

    @property
    def left(self) -> str:
        """How long it works yet."""
        left = self.status["expires_in"]
        return self._words("none_left") if left is None else self._words.duration(left)

    @property
    def next(self) -> str:
        """When WeChat is asked next."""
        it, words = self.status, self._words
        if it["lease_left"]:
            return words("under_way")
        # One that is missing is fetched as soon as WeChat may be asked.
        due_at = it["refresh_at"] if it["expires_at"] else 0.0
        left = max(due_at, it["retry_at"]) - it["now"]
        if left < 1:
            return words("refresh_now")
        return words("attempt_in" if it["retry_at"] > due_at else "refresh_in", time=words.duration(left))

    @property
    def fetched(self) -> str:
        """When it was fetched."""
        at, words = self.status["fetched_at"], self._words
        return words("fetched", ago=words.ago(self.status["now"] - at)) if at else words("never_fetched")

    @property
    def used(self) -> str:
        """How many fetches there were."""
        words, it = self._words, self._row.quota
        if not it.allowed:
            return words("used", int(it.used))
        text = "quota_hour" if it.period == HOUR else "quota"
        return words(text, used=words.number(it.used), allowed=words.number(it.allowed))

    @property
    def share(self) -> float | None:
        """Which part of what is allowed is used, in percent."""
        it = self._row.quota
        return min(100.0, 100 * it.used / it.allowed) if it.allowed else None

    @property
    def picture(self) -> str:
        """The last day, as SVG."""
        it = self.status
        live = Span(it["fetched_at"], it["expires_at"]) if it["expires_at"] and it["fetched_at"] else None
        return svg(day(self._row.events, it["now"], self._length, live), self._words)
