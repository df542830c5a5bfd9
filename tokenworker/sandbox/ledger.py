"""Who was issued what, and whether it is accepted; time comes from a clock that is passed in."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from tokenworker.credential import ACCESS_TOKEN, fingerprint
from tokenworker.sandbox.accounts import Account
from tokenworker.sandbox.admission import Claim, admit
from tokenworker.sandbox.applications import Application, Corp
from tokenworker.sandbox.credentials import Grant, IssuedCredential, Verdict
from tokenworker.sandbox.errors import UnknownAccountError, WeChatError
from tokenworker.sandbox.holders import Holder
from tokenworker.sandbox.hosts import WECHAT, Host
from tokenworker.sandbox.memory import Memory
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.slots import Slot

T = TypeVar("T")
S = TypeVar("S", bound=Slot)


class Found(NamedTuple):
    """A credential, and the slot that it is in."""

    slot: Slot
    issued: IssuedCredential


class Ledger:
    """All holders with their credentials, and what callers may ask of WeChat. Safe to use from several threads."""

    def __init__(self, rules: Rules | None = None, clock: Callable[[], float] = time.time) -> None:
        self.rules = rules or Rules()
        self._clock = clock
        self._holders: dict[str, Holder] = {}
        self._lock = threading.RLock()
        self._memory = Memory()
        #: Called when something may have changed, before anybody hears of it.
        self.on_change: Callable[[], object] = lambda: None

    def holder(self, name: str) -> Holder:
        """Return an account, a corp or an application by its id; raises UnknownAccountError."""
        if name not in self._holders:
            raise UnknownAccountError(name)
        return self._holders[name]

    def account(self, appid: str) -> Account | None:
        """Return an official account or mini program."""
        holder = self._holders.get(appid)
        return holder if isinstance(holder, Account) else None

    def corp(self, corpid: str) -> Corp | None:
        """Return a corp."""
        holder = self._holders.get(corpid)
        return holder if isinstance(holder, Corp) else None

    def application(self, secret: str) -> Application | None:
        """Return whichever corp's application has the secret."""
        corps = (holder for holder in self._holders.values() if isinstance(holder, Corp))
        return next((application for corp in corps if (application := corp.application_of(secret))), None)

    def slots(self, owner: str, kind: type[S]) -> list[S]:
        """Return a holder's slots of one class; none for a holder whom nobody knows."""
        holder = self._holders.get(owner)
        return [slot for slot in holder.every_slot() if isinstance(slot, kind)] if holder else []

    def mint_classic(self, appid: str, secret: str, grant_type: str, ip: str) -> Grant:
        """Answer GET /cgi-bin/token; raises WeChatError."""
        return self._claim("token", Claim(appid, secret, grant_type, ip))

    def mint_stable(self, appid: str, secret: str, grant_type: str, ip: str, *, force_refresh: bool = False) -> Grant:
        """Answer POST /cgi-bin/stable_token; raises WeChatError."""
        return self._claim("stable_token", Claim(appid, secret, grant_type, ip), force=force_refresh)

    def check_token(self, access_token: str) -> None:
        """Let a business call of an account pass, or raise the WeChatError that it gets."""
        self.use(access_token, WECHAT)

    def use(self, access_token: str, host: Host, ip: str = "") -> Found:
        """Return the token if `host` takes it from that address; raises WeChatError."""
        with self._lock:
            now = self._clock()
            found = self.find(access_token)
            if found is None or found.slot.host is not host or found.slot.name != ACCESS_TOKEN:
                raise host.refusal(host.bad_token if access_token else 41001, now, ip)
            if errcode := self._obstacle(found, now, ip):
                raise host.refusal(errcode, now, ip)
            return found

    def find(self, value: str) -> Found | None:
        """Return a credential that was issued at any time."""
        name = fingerprint(value)
        with self._lock:
            slots = (slot for holder in self._holders.values() for slot in holder.every_slot())
            return next((Found(slot, slot.issued[name]) for slot in slots if name in slot.issued), None)

    def verdict(self, value: str) -> Verdict:
        """Return how a credential of any kind stands."""
        with self._lock:
            found = self.find(value)
            return found.slot.standing(found.issued, self._clock()) if found else Verdict("unknown")

    def live_of(self, signs: str, owner: str | None = None) -> list[str]:
        """Return the values that are accepted for one sort of signature, of one owner or all of its applications."""
        with self._lock:
            now = self._clock()
            slots = (slot for holder in self._holders.values() for slot in holder.every_slot() if slot.signs == signs)
            mine = (slot for slot in slots if owner in (None, slot.owner, slot.owner.partition("/")[0]))
            return [issued.value for slot in mine for issued in slot.live(now)]

    def count(self, slot: Slot | None, act: Callable[[float], T]) -> T:
        """Act at one moment, and count the fetch and its refusal if it is known whose they are; raises WeChatError."""
        with self._lock:
            tally = Counter[str]() if slot is None else slot.tally
            tally["fetches"] += 1
            try:
                return act(self._clock())
            except WeChatError:
                tally["errors"] += 1
                raise
            finally:
                self.on_change()

    def count_fault(self, slot: Slot | None, *, is_fetch: bool) -> None:
        """Count an answer that a fault switch spoilt, and the fetch if the model never saw it."""
        with self._lock:
            if slot:
                slot.tally.update(faults=1, fetches=int(is_fetch))
                self.on_change()

    def refusal(self, errcode: int, ip: str = "", host: Host = WECHAT) -> WeChatError:
        """Build the error for `errcode` in the wording of `host`."""
        return host.refusal(errcode, self._clock(), ip)

    def _claim(self, endpoint: str, claim: Claim, *, force: bool = False) -> Grant:
        account = self.account(claim.appid)
        slot = account.slots(endpoint)[0] if account else None
        return self.count(slot, lambda now: admit(claim, account, now).slots(endpoint)[0].fetch(now, force=force))

    def _obstacle(self, token: Found, now: float, ip: str) -> int:
        host = token.slot.host
        if token.issued.works(now):
            return self._holders[token.slot.owner].refuses_use(ip)
        return host.expired_token(self.rules) if token.issued.is_expired(now) else host.bad_token
