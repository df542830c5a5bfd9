"""WeChat for the model: the sandbox's platform, called without HTTP, and answers that go wrong when told to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from model.record import Issue, Record
from tokenworker.accounts.account import Account, Endpoint
from tokenworker.credential import Issued, fingerprint
from tokenworker.errors import (
    DayLimit,
    FetchError,
    MalformedAnswer,
    MinuteLimit,
    NetworkError,
    OperatorError,
    TransientError,
)
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Platform, Rules, WeChatError
from tokenworker.secret import Secret

_IP = "127.0.0.1"


class Fault(NamedTuple):
    """What can go wrong with a call, and whether WeChat acts on the call all the same, or does so later."""

    error: Callable[[], FetchError]
    acts: bool = False
    acts_late: bool = False


FAULTS = {
    "lost": Fault(lambda: NetworkError("reset", ambiguous=True), acts=True),
    "late": Fault(lambda: NetworkError("no answer", ambiguous=True), acts_late=True),
    "garbled": Fault(lambda: MalformedAnswer("HTML", ambiguous=True), acts=True),
    "cut off": Fault(lambda: NetworkError("reset", ambiguous=True)),
    "unreachable": Fault(lambda: NetworkError("refused")),
    "busy": Fault(lambda: TransientError("-1", -1)),
    "minute limit": Fault(lambda: MinuteLimit("45011", 45011)),
    "day limit": Fault(lambda: DayLimit("45009", 45009)),
    "whitelist": Fault(lambda: OperatorError("40164", 40164)),
}


@dataclass
class Stray:
    """A fetch that WeChat acts on some time before `until`; whether our store can know of that."""

    force: bool
    until: float
    known: bool = True


class Upstream:
    """One account at WeChat."""

    def __init__(self, clock: Callable[[], float], record: Record, endpoint: Endpoint, rules: Rules) -> None:
        self.account = Account(DEMO_APPID, Secret(DEMO_SECRET), endpoint=endpoint)
        self.now = clock
        self._platform = Platform(rules, clock)
        self._platform.add_account(DEMO_APPID, DEMO_SECRET)
        self._record = record
        #: Faults of the next calls, the first one first.
        self.faults: list[str] = []
        self.strays: list[Stray] = []

    def next_fault(self) -> Fault | None:
        """Take the fault of the next call, if it has one."""
        return FAULTS[self.faults.pop(0)] if self.faults else None

    def fetch(self, *, force: bool, known: bool = False) -> tuple[Issued, Issue | None]:
        """Hand out a token, and tell whether it was issued now; raises a `FetchError`."""
        claim = (DEMO_APPID, DEMO_SECRET, "client_credential", _IP)
        before = len(self._platform.mints(DEMO_APPID))
        try:
            if self.account.endpoint == "token":
                grant = self._platform.mint_classic(*claim)
            else:
                grant = self._platform.mint_stable(*claim, force_refresh=force)
        except WeChatError as error:
            refusal = DayLimit(error.errmsg, error.errcode)
        else:
            new = len(self._platform.mints(DEMO_APPID)) > before
            issue = self._note(Issue(fingerprint(grant.access_token), known)) if new else None
            return Issued(grant.access_token, grant.expires_in), issue
        raise refusal

    def act_late(self, *, by: float) -> None:
        """Act on the stray fetches that must be acted upon by then."""
        for stray in [each for each in self.strays if each.until <= by]:
            self.strays.remove(stray)
            with suppress(FetchError):
                self.fetch(force=stray.force, known=stray.known)

    def revoke(self, *, still_handed_out: bool) -> None:
        """End all tokens, without a word to anybody."""
        self._platform.revoke(DEMO_APPID, still_handed_out=still_handed_out)
        self._note(Issue())

    def left(self, access_token: str) -> float:
        """Tell for how many seconds a token still works: 0 when it is dead."""
        verdict = self._platform.verdict(access_token)
        return verdict.seconds_left if verdict.works else 0.0

    def is_ours(self, access_token: str) -> bool:
        """Say whether WeChat issued a token, to whomever."""
        return any(issue.fingerprint == fingerprint(access_token) for issue in self._record.issues)

    def _note(self, issue: Issue) -> Issue:
        self._record.issues.append(issue)
        return issue
