"""WeChat's side of the bargain as a pure model: no HTTP, and time comes from a clock that is passed in."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from tokenworker.sandbox.accounts import Account, Counts, read_whitelist
from tokenworker.sandbox.admission import Claim, admit
from tokenworker.sandbox.errors import InputError, UnknownAccountError, WeChatError, refusal
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.tokens import Endpoint, Grant, Mint, Verdict, fingerprint


class Platform:
    """Accounts and their tokens. Safe to use from several threads."""

    def __init__(self, rules: Rules | None = None, clock: Callable[[], float] = time.time) -> None:
        self.rules = rules or Rules()
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()

    def add_account(
        self,
        appid: str,
        secret: str | None = None,
        *,
        whitelist: Iterable[str] | None = None,
        frozen: bool | None = None,
    ) -> None:
        """Add an account, or change what is given of one; its tokens stay. Raises InputError."""
        with self._lock:
            account = self._accounts.get(appid) or Account(appid, "", self.rules)
            entries = account.whitelist if whitelist is None else read_whitelist(whitelist)
            if not (secret or account.secret):
                raise InputError("A new account needs a secret.")
            account.secret, account.whitelist = secret or account.secret, entries
            account.frozen = account.frozen if frozen is None else frozen
            self._accounts[appid] = account

    def mint_classic(self, appid: str, secret: str, grant_type: str, ip: str) -> Grant:
        """Answer GET /cgi-bin/token; raises WeChatError."""
        claim = Claim(appid, secret, grant_type, ip)
        return self._answer("token", claim, lambda account, now: account.classic.mint(now))

    def mint_stable(self, appid: str, secret: str, grant_type: str, ip: str, *, force_refresh: bool = False) -> Grant:
        """Answer POST /cgi-bin/stable_token; raises WeChatError."""
        claim = Claim(appid, secret, grant_type, ip)
        return self._answer("stable_token", claim, lambda account, now: account.stable.fetch(now, force=force_refresh))

    def verdict(self, access_token: str) -> Verdict:
        """Say how a token stands."""
        name = fingerprint(access_token)
        with self._lock:
            now = self._clock()
            for account in self._accounts.values():
                if verdict := account.verdict(name, now):
                    return verdict
        return Verdict("unknown")

    def check_token(self, access_token: str) -> None:
        """Let a business call pass, or raise the WeChatError that it gets."""
        if not access_token:
            raise self.refusal(41001)
        verdict = self.verdict(access_token)
        if not verdict.works:
            # WeChat tells a token that ran out its time from one that a later one replaced.
            raise self.refusal(42001 if verdict.verdict == "expired" else 40001)

    def revoke(self, appid: str, *, still_handed_out: bool = False) -> int:
        """End the account's live tokens at once and return how many they were.

        With `still_handed_out` stable_token goes on returning the dead one until a force refresh.
        """
        with self._lock:
            account = self._account(appid)
            account.stable.hands_out_revoked = still_handed_out
            return sum(slot.revoke(self._clock()) for slot in account.slots())

    def counts(self, appid: str, endpoint: Endpoint | None = None) -> Counts:
        """Return what happened to the account, at one endpoint or at both; raises UnknownAccountError."""
        with self._lock:
            return self._account(appid).counts(endpoint)

    def mints(self, appid: str) -> list[Mint]:
        """Return the log of the account's new tokens, oldest first; raises UnknownAccountError."""
        with self._lock:
            return self._account(appid).mints()

    def live_tokens(self, appid: str) -> list[tuple[Mint, Verdict]]:
        """Return the account's tokens that work and how they stand; raises UnknownAccountError."""
        with self._lock:
            return self._account(appid).live_tokens(self._clock())

    def accounts(self) -> list[Account]:
        """Return all accounts."""
        with self._lock:
            return list(self._accounts.values())

    def count_fault(self, appid: str, endpoint: Endpoint, *, is_fetch: bool) -> None:
        """Count an answer that a fault switch spoilt, and the fetch if the model never saw it."""
        with self._lock:
            if account := self._accounts.get(appid):
                account.slot(endpoint).tally.update(faults=1, fetches=int(is_fetch))

    def reset(self, *, tokens: bool = False) -> None:
        """Clear counts and quotas, and all tokens if asked to; accounts stay."""
        with self._lock:
            for account in self._accounts.values():
                account.reset(tokens=tokens)

    def refusal(self, errcode: int, ip: str = "") -> WeChatError:
        """Build the error for `errcode` in WeChat's wording."""
        return refusal(errcode, self._clock(), ip)

    def _account(self, appid: str) -> Account:
        if appid not in self._accounts:
            raise UnknownAccountError(appid)
        return self._accounts[appid]

    def _answer(self, endpoint: Endpoint, claim: Claim, issue: Callable[[Account, float], Grant]) -> Grant:
        with self._lock:
            now = self._clock()
            account = self._accounts.get(claim.appid)
            tally = account.slot(endpoint).tally if account else Counter[str]()
            tally["fetches"] += 1
            try:
                return issue(admit(claim, account, now), now)
            except WeChatError:
                tally["errors"] += 1
                raise
