"""The two lines of tokens that an account has, each with its own law of succession."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from tokenworker.sandbox.call import Call
from tokenworker.sandbox.credentials import Grant, IssuedCredential, random_text, whole_seconds
from tokenworker.sandbox.endpoint import Endpoint
from tokenworker.sandbox.ledger import Ledger
from tokenworker.sandbox.quotas import Quota
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot
from tokenworker.sandbox.state import SlotState


class _TokenSlot(Slot):
    """What both lines share: a new token leaves the one before it the overlap."""

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        self._previous: IssuedCredential | None = None

    def state(self, kept: Mapping[str, IssuedCredential]) -> SlotState:
        """Return the one before the current too."""
        state = super().state(kept)
        if self._previous:
            state["named"]["previous"] = self._previous.mint.fingerprint
        return state

    def resume(self, state: SlotState, credentials: Mapping[str, IssuedCredential]) -> None:
        """Go on with the one before the current too."""
        super().resume(state, credentials)
        self._previous = self.issued.get(state["named"].get("previous", ""))

    def _mint(self, now: float, *, forced: bool = False) -> Grant:
        value = random_text(self.rules.token_length, self.host.token_prefix)
        self._previous = self.current
        self._issue(value, now, now + self.rules.life, forced=forced)
        return Grant(value, whole_seconds(self.rules.life))

    def _supersede(self, now: float, overlap: float, *, two_newest_only: bool) -> None:
        if self.current:
            self.current.cut(now + overlap)
        if self._previous and two_newest_only:
            self._previous.cut(now)


class ClassicSlot(_TokenSlot):
    """Every call mints, and the token before has the overlap left to live ("access_token usage notes")."""

    endpoint = "token"

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        self.quotas = [Quota(rules.classic_limit, rules.day, 45009, lead=rules.day / 3)]

    def fetch(self, now: float, *, force: bool = False, token: IssuedCredential | None = None) -> Grant:
        """Mint a token; raises WeChatError when the day's quota is spent."""
        self.quotas[0].spend(now)
        self._supersede(now, self.rules.overlap, two_newest_only=self.rules.two_newest_only)
        return self._mint(now)


class StableSlot(_TokenSlot):
    """One token for all callers, renewed in its last minutes ("getStableAccessToken")."""

    endpoint = "stable_token"

    def __init__(self, owner: str, rules: Rules) -> None:
        super().__init__(owner, rules)
        lead = rules.day / 3
        self._minute = Quota(rules.stable_minute_limit, rules.minute, 45011)
        self._day = Quota(rules.stable_day_limit, rules.day, 45009, lead)
        self._forces = Quota(rules.force_limit, rules.day, rules.force_limit_errcode, lead)
        self.quotas = [self._minute, self._day, self._forces]
        self._forced_at = float("-inf")

    def fetch(self, now: float, *, force: bool = False, token: IssuedCredential | None = None) -> Grant:
        """Hand out the token, renewed if due or forced; raises WeChatError past a quota."""
        self._minute.spend(now)
        self._day.spend(now)
        return self._force(now) if force else self._normal(now)

    def state(self, kept: Mapping[str, IssuedCredential]) -> SlotState:
        """Return when a token was forced too."""
        state = super().state(kept)
        if isfinite(self._forced_at):
            state["moments"]["forced_at"] = self._forced_at
        return state

    def resume(self, state: SlotState, credentials: Mapping[str, IssuedCredential]) -> None:
        """Go on from when a token was forced too."""
        super().resume(state, credentials)
        self._forced_at = state["moments"].get("forced_at", self._forced_at)

    def _normal(self, now: float) -> Grant:
        current = self.current
        if current and self._is_kept(current, now):
            return Grant(current.value, whole_seconds(current.expires_at - now))
        return self._mint(now)

    def _is_kept(self, current: IssuedCredential, now: float) -> bool:
        usable = current.works(now) or self.hands_out_revoked
        return usable and current.expires_at - now > self.rules.overlap

    def _force(self, now: float) -> Grant:
        if now - self._forced_at < self.rules.force_interval:
            return self._too_soon(now)
        self._forces.spend(now)
        self._forced_at = now
        overlap = self.rules.overlap if self.rules.force_keeps_previous else 0
        self._supersede(now, overlap, two_newest_only=True)
        return self._mint(now, forced=True)

    def _too_soon(self, now: float) -> Grant:
        if self.rules.force_too_soon_errcode is not None:
            raise self.host.refusal(self.rules.force_too_soon_errcode, now)
        return self._normal(now)


class GetToken(Endpoint):
    """GET /cgi-bin/token."""

    path = "/cgi-bin/token"

    def whose(self, ledger: Ledger, call: Call) -> str:
        """Return the appid in the query."""
        return call.asked("appid")

    def slot(self, ledger: Ledger, call: Call) -> Slot | None:
        """Return the account's classic line."""
        return next(iter(ledger.slots(call.asked("appid"), ClassicSlot)), None)

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Mint a token."""
        if call.method != "GET":
            raise ledger.refusal(43001)
        grant = ledger.mint_classic(call.asked("appid"), call.asked("secret"), call.asked("grant_type"), call.ip)
        return {"access_token": grant.value, "expires_in": grant.expires_in}


class GetStableToken(Endpoint):
    """POST /cgi-bin/stable_token, with a JSON body whatever its Content-Type."""

    path = "/cgi-bin/stable_token"

    def whose(self, ledger: Ledger, call: Call) -> str:
        """Return the appid in the body."""
        return call.posted("appid")

    def slot(self, ledger: Ledger, call: Call) -> Slot | None:
        """Return the account's stable line."""
        return next(iter(ledger.slots(call.posted("appid"), StableSlot)), None)

    def answer(self, ledger: Ledger, call: Call) -> dict[str, Any]:
        """Hand out the token."""
        if call.method != "POST":
            raise ledger.refusal(43002)
        grant = ledger.mint_stable(
            call.posted("appid"),
            call.posted("secret"),
            call.posted("grant_type"),
            call.ip,
            force_refresh=call.body.get("force_refresh") is True,
        )
        return {"access_token": grant.value, "expires_in": grant.expires_in}
