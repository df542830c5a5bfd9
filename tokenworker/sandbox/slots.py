"""A slot: all credentials of one kind that one holder was issued. How they follow each other, each kind says."""

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from tokenworker.credential import ACCESS_TOKEN, fingerprint
from tokenworker.sandbox.credentials import Grant, IssuedCredential, Mint, Verdict
from tokenworker.sandbox.hosts import WECHAT, Host
from tokenworker.sandbox.quotas import Quota
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.state import SlotState


class Slot:
    """The credentials, oldest first, and the counts of one kind. `owner` is the holder's id."""

    #: Class of the holders that have such a slot: `account`, `application` or `corp`.
    of: ClassVar[str] = "account"
    #: What callers name the credential.
    name: ClassVar[str] = ACCESS_TOKEN
    #: The call that hands it out, by the end of its path, such as `stable_token`.
    endpoint: ClassVar[str]
    host: ClassVar[Host] = WECHAT
    #: What it signs, if anything: `page` (wx.config, wx.agentConfig) or `card` (wx.addCard).
    signs: ClassVar[str | None] = None

    def __init__(self, owner: str, rules: Rules) -> None:
        self.owner = owner
        self.rules = rules
        self.issued: dict[str, IssuedCredential] = {}
        self.tally: Counter[str] = Counter()
        self.quotas: list[Quota] = []
        self.current: IssuedCredential | None = None
        #: A revoked credential goes on being handed out, where a repeat gives the same one.
        self.hands_out_revoked = False

    def fetch(self, now: float, *, force: bool = False, token: IssuedCredential | None = None) -> Grant:
        """Hand out a credential; `token` is the access token that it is asked with. Raises WeChatError past a quota."""
        raise NotImplementedError

    def reset(self) -> None:
        """Clear the counts and give the quotas back; what was issued stays."""
        self.tally.clear()
        for quota in self.quotas:
            quota.clear()

    def standing(self, issued: IssuedCredential, now: float) -> Verdict:
        """Return how one of this slot's credentials stands."""
        if issued.works(now):
            is_current = self.is_current(issued, now)
            return Verdict("current" if is_current else "overlap", self.owner, issued.ends_at - now, self.name)
        return Verdict("expired" if issued.is_expired(now) else "superseded", self.owner, name=self.name)

    def is_current(self, issued: IssuedCredential, now: float) -> bool:
        """Return whether it is the one that callers get now."""
        return issued is self.current

    def live(self, now: float) -> list[IssuedCredential]:
        """Return what is accepted."""
        return [issued for issued in self.issued.values() if issued.works(now)]

    def revoke(self, now: float, *, still_handed_out: bool = False) -> int:
        """End what is accepted, and return how many that were."""
        self.hands_out_revoked = still_handed_out
        live = self.live(now)
        for issued in live:
            issued.cut(now)
        return len(live)

    def state(self, kept: Mapping[str, IssuedCredential]) -> SlotState:
        """Return it as plain data, with those credentials alone that are kept."""
        named = {"current": self.current.mint.fingerprint} if self.current else {}
        return {
            "issued": [name for name in self.issued if name in kept],
            "named": named,
            "moments": {},
            "hands_out_revoked": self.hands_out_revoked,
            "tally": dict(self.tally),
            "quotas": [quota.state() for quota in self.quotas],
        }

    def resume(self, state: SlotState, credentials: Mapping[str, IssuedCredential]) -> None:
        """Go on where another was; `credentials` are those that are kept."""
        self.issued = {name: credentials[name] for name in state["issued"] if name in credentials}
        self.current = self.issued.get(state["named"].get("current", ""))
        self.hands_out_revoked = state["hands_out_revoked"]
        self.tally = Counter(state["tally"])
        for quota, spent in zip(self.quotas, state["quotas"], strict=False):
            quota.resume(spent)

    def _issue(
        self, value: str, now: float, end: float, *, forced: bool = False, parent: IssuedCredential | None = None
    ) -> IssuedCredential:
        mint = Mint(fingerprint(value), self.endpoint, now, forced, self.name)
        self.current = IssuedCredential(value, mint, expires_at=end, ends_at=end, parent=parent)
        self.issued[mint.fingerprint] = self.current
        self.tally.update(minted=1, forced=int(forced))
        return self.current
