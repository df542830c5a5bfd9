"""The sandbox, with a log of every call that reached it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tokenworker.sandbox import DEMO_SECRET, Fault, Grant, Platform, Rules, Sandbox


@dataclass(frozen=True)
class Call:
    """A fetch or a probe, and when it reached the sandbox, by the monotonic clock."""

    what: str
    appid: str
    at: float


class LoggedPlatform(Platform):
    """The sandbox's model; it keeps a line for each call."""

    def __init__(self, rules: Rules) -> None:
        super().__init__(rules)
        self.calls: list[Call] = []

    def mint_classic(self, appid: str, secret: str, grant_type: str, ip: str) -> Grant:
        self.calls.append(Call("token", appid, time.monotonic()))
        return super().mint_classic(appid, secret, grant_type, ip)

    def mint_stable(self, appid: str, secret: str, grant_type: str, ip: str, *, force_refresh: bool = False) -> Grant:
        self.calls.append(Call("force" if force_refresh else "stable_token", appid, time.monotonic()))
        return super().mint_stable(appid, secret, grant_type, ip, force_refresh=force_refresh)

    def check_token(self, access_token: str) -> None:
        self.calls.append(Call("probe", self.verdict(access_token).appid or "", time.monotonic()))
        super().check_token(access_token)


class Upstream(Sandbox):
    """WeChat as the proofs need it: slow, and with a good memory. Its accounts all have the demo secret."""

    def __init__(self, rules: Rules, appids: Iterable[str]) -> None:
        super().__init__(rules, {})
        self.platform: LoggedPlatform = LoggedPlatform(rules)
        for appid in appids:
            self.add_account(appid, DEMO_SECRET)

    def slow(self, seconds: float, *, first: Sequence[Fault] = ()) -> None:
        """Answer every call so late; `first` are faults that come before that."""
        self.clear_faults()
        for fault in first:
            self.faults.add(fault)
        self.fault("delay", seconds=seconds, times=None)

    def fetches(self, appid: str) -> int:
        return self.counts(appid).fetches

    def works(self, fingerprint: str) -> bool:
        """Tell whether business calls take the token that has this fingerprint."""
        now = time.time()
        verdicts = (account.verdict(fingerprint, now) for account in self.platform.accounts())
        return any(verdict.works for verdict in verdicts if verdict)

    def calls(self, appid: str, since: float = 0.0) -> list[Call]:
        return [call for call in self.platform.calls if call.appid == appid and call.at >= since]

    def rule(self, appid: str, **changes: Any) -> None:
        """Have other rules for the next tokens of one account than for the rest."""
        rules = replace(self.platform.rules, **changes)
        for account in self.platform.accounts():
            for slot in account.slots() if account.appid == appid else ():
                slot.rules = rules
