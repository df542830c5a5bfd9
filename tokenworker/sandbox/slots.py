"""The two lines of tokens that an account has, each with its own law of succession."""

from collections import Counter
from typing import ClassVar

from tokenworker.sandbox.errors import refusal
from tokenworker.sandbox.quotas import Quota
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.tokens import (
    Endpoint,
    Grant,
    IssuedToken,
    Mint,
    Verdict,
    fingerprint,
    new_access_token,
    whole_seconds,
)


class Slot:
    """The tokens of one account at one endpoint, oldest first."""

    endpoint: ClassVar[Endpoint]

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.tokens: dict[str, IssuedToken] = {}
        self.tally: Counter[str] = Counter()
        self.quotas: list[Quota] = []
        self.current: IssuedToken | None = None
        self.previous: IssuedToken | None = None

    def reset(self) -> None:
        """Clear the counts and give the quotas back; tokens stay."""
        self.tally.clear()
        for quota in self.quotas:
            quota.clear()

    def standing(self, token: IssuedToken, appid: str, now: float) -> Verdict:
        """Say how one of this slot's tokens stands."""
        if token.works(now):
            return Verdict("current" if token is self.current else "overlap", appid, token.ends_at - now)
        return Verdict("superseded" if token.ends_at < token.expires_at else "expired", appid)

    def revoke(self, now: float) -> int:
        """End every token that still works, and say how many."""
        working = [token for token in self.tokens.values() if token.works(now)]
        for token in working:
            token.cut(now)
        return len(working)

    def _issue(self, now: float, *, forced: bool = False) -> Grant:
        text = new_access_token(self.rules.token_length)
        name = fingerprint(text)
        end = now + self.rules.life
        token = IssuedToken(text, Mint(name, self.endpoint, now, forced), expires_at=end, ends_at=end)
        self.tokens[name] = token
        self.previous, self.current = self.current, token
        self.tally.update(minted=1, forced=int(forced))
        return Grant(text, whole_seconds(self.rules.life))

    def _supersede(self, now: float, overlap: float, *, two_newest_only: bool) -> None:
        if self.current:
            self.current.cut(now + overlap)
        if self.previous and two_newest_only:
            self.previous.cut(now)


class ClassicSlot(Slot):
    """GET /cgi-bin/token: every call mints, and the token before has the overlap left to live."""

    endpoint = "token"

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.quotas = [Quota(rules.classic_limit, rules.day, 45009, lead=rules.day / 3)]

    def mint(self, now: float) -> Grant:
        """Mint a token; raises WeChatError when the day's quota is spent."""
        self.quotas[0].spend(now)
        self._supersede(now, self.rules.overlap, two_newest_only=self.rules.two_newest_only)
        return self._issue(now)


class StableSlot(Slot):
    """POST /cgi-bin/stable_token: one token for all callers, renewed in its last minutes."""

    endpoint = "stable_token"

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        lead = rules.day / 3
        self._minute = Quota(rules.stable_minute_limit, rules.minute, 45011)
        self._day = Quota(rules.stable_day_limit, rules.day, 45009, lead)
        self._forces = Quota(rules.force_limit, rules.day, rules.force_limit_errcode, lead)
        self.quotas = [self._minute, self._day, self._forces]
        self._forced_at = float("-inf")
        #: A revoked token goes on being handed out until a force replaces it.
        self.hands_out_revoked = False

    def fetch(self, now: float, *, force: bool = False) -> Grant:
        """Hand out the token, renewed if due or forced; raises WeChatError past a quota."""
        self._minute.spend(now)
        self._day.spend(now)
        return self._force(now) if force else self._normal(now)

    def _normal(self, now: float) -> Grant:
        current = self.current
        if current and self._is_kept(current, now):
            return Grant(current.access_token, whole_seconds(current.expires_at - now))
        return self._issue(now)

    def _is_kept(self, current: IssuedToken, now: float) -> bool:
        usable = current.works(now) or self.hands_out_revoked
        return usable and current.expires_at - now > self.rules.overlap

    def _force(self, now: float) -> Grant:
        if now - self._forced_at < self.rules.force_interval:
            return self._too_soon(now)
        self._forces.spend(now)
        self._forced_at = now
        overlap = self.rules.overlap if self.rules.force_keeps_previous else 0
        self._supersede(now, overlap, two_newest_only=True)
        return self._issue(now, forced=True)

    def _too_soon(self, now: float) -> Grant:
        if self.rules.force_too_soon_errcode is not None:
            raise refusal(self.rules.force_too_soon_errcode, now)
        return self._normal(now)
