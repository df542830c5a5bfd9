"""WeChat's side of the bargain as a pure model: no HTTP, and time comes from a clock that is passed in."""

from collections.abc import Iterable

from tokenworker.credential import ACCESS_TOKEN
from tokenworker.demo import DEMO_APPID
from tokenworker.sandbox.accounts import Account, read_whitelist
from tokenworker.sandbox.applications import Application, Corp
from tokenworker.sandbox.credentials import Mint, Verdict
from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.holders import Counts, Holder
from tokenworker.sandbox.issuers import KINDS
from tokenworker.sandbox.ledger import Ledger
from tokenworker.sandbox.memory import Memory
from tokenworker.sandbox.signatures import card_signature, page_signature
from tokenworker.sandbox.state import PlatformState


class Platform(Ledger):
    """The ledger, with what its operator may do. `appid` is an appid, a corpid or CORPID/AGENT.

    A `name` is a credential's, as in `jsapi_ticket`, or an endpoint's, as in `stable_token`; None means all.
    """

    def add_account(
        self,
        appid: str,
        secret: str | None = None,
        *,
        whitelist: Iterable[str] | None = None,
        frozen: bool | None = None,
        mini_program: bool | None = None,
    ) -> None:
        """Add an account, or change what is given of one; its tokens stay. Raises InputError."""
        with self._lock:
            account = self.account(appid) or Account(appid, self.rules, KINDS)
            entries = account.whitelist if whitelist is None else read_whitelist(whitelist)
            account.secret, account.whitelist = _secret(secret, account.secret), entries
            account.frozen = account.frozen if frozen is None else frozen
            account.mini_program = account.mini_program if mini_program is None else mini_program
            self._admit(account)

    def add_application(
        self,
        corpid: str,
        agent: int,
        secret: str | None = None,
        *,
        trusted_ips: Iterable[str] | None = None,
        disabled: bool | None = None,
    ) -> None:
        """Add a WeCom application, or change what is given of one; its tokens stay. Raises InputError."""
        with self._lock:
            application = self._application(corpid, agent)
            entries = application.trusted_ips if trusted_ips is None else read_whitelist(trusted_ips)
            application.change_secret(_secret(secret, application.secret))
            application.trusted_ips = entries
            application.disabled = application.disabled if disabled is None else disabled
            application.corp.take(application)
            self._admit(application.corp)
            self._admit(application)

    def accounts(self) -> list[Account]:
        """Return all official accounts and mini programs."""
        with self._lock:
            return [holder for holder in self._holders.values() if isinstance(holder, Account)]

    def applications(self) -> list[Application]:
        """Return all WeCom applications."""
        with self._lock:
            return [holder for holder in self._holders.values() if isinstance(holder, Application)]

    def counts(self, appid: str = DEMO_APPID, name: str | None = ACCESS_TOKEN) -> Counts:
        """Return what happened to a credential; raises InputError."""
        with self._lock:
            return self.holder(appid).counts(name)

    def mints(self, appid: str = DEMO_APPID, name: str | None = ACCESS_TOKEN) -> list[Mint]:
        """Return the log of new credentials, oldest first; raises InputError."""
        with self._lock:
            return self.holder(appid).mints(name)

    def live_tokens(self, appid: str = DEMO_APPID, name: str | None = ACCESS_TOKEN) -> list[tuple[Mint, Verdict]]:
        """Return what is accepted and how it stands; raises InputError."""
        with self._lock:
            return self.holder(appid).live(self._clock(), name)

    def revoke(
        self, appid: str = DEMO_APPID, name: str | None = ACCESS_TOKEN, *, still_handed_out: bool = False
    ) -> int:
        """End what is accepted, at once, and return how many that were; raises InputError.

        With `still_handed_out` a call that repeats itself goes on returning the dead one, until its time is over
        or, for stable_token, until a force refresh.
        """
        with self._lock:
            revoked = self.holder(appid).revoke(self._clock(), name, still_handed_out=still_handed_out)
            self.on_change()
            return revoked

    def reset(self, *, tokens: bool = False) -> None:
        """Clear counts and quotas, and all credentials if asked to; accounts stay."""
        with self._lock:
            for holder in self._holders.values():
                holder.reset(tokens=tokens)
            self._memory = Memory() if tokens else self._memory
            self.on_change()

    def state(self) -> PlatformState:
        """Return what was issued, counts and quotas as plain data; what expired is kept for one life more.

        Secrets and whatever else was set of holders is not in it.
        """
        with self._lock:
            return self._memory.state(self._holders.values(), self._clock() - self.rules.life)

    def resume(self, state: PlatformState) -> None:
        """Go on where another platform was, for holders that are here and those that are added later."""
        with self._lock:
            self._memory = Memory(state)
            for holder in self._holders.values():
                self._memory.give(holder)

    def page_check(
        self, url: str, nonce: str, timestamp: str | int, signature: str, appid: str | None = None
    ) -> dict[str, str]:
        """Return what wx.config says of a page's signature; `appid` is the page's, None tries everybody's tickets."""
        tickets = self.live_of("page", appid)
        fits = any(page_signature(ticket, nonce, str(timestamp), url) == signature for ticket in tickets)
        return {"errMsg": "config:ok" if fits else "config:invalid signature"}

    def card_check(self, values: Iterable[str], signature: str, appid: str | None = None) -> dict[str, str]:
        """Return what wx.addCard says of a card's signature over `values` and a ticket."""
        signed = list(values)
        fits = any(card_signature([ticket, *signed]) == signature for ticket in self.live_of("card", appid))
        return {"errMsg": "addCard:ok" if fits else "addCard:invalid signature"}

    def _admit(self, holder: Holder) -> None:
        self._holders[holder.id] = holder
        self._memory.give(holder)
        self.on_change()

    def _application(self, corpid: str, agent: int) -> Application:
        known = self._holders.get(f"{corpid}/{agent}")
        if isinstance(known, Application):
            return known
        return Application(self.corp(corpid) or Corp(corpid, self.rules, KINDS), agent, self.rules, KINDS)


def _secret(given: str | None, known: str) -> str:
    if not (given or known):
        raise InputError("Whoever is new needs a secret.")
    return given or known
