"""What really happened, as nobody in the product can know it: the truth that the model measures the product by."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tokenworker.durations import Durations

DURATIONS = Durations()

#: Redis counts in milliseconds, and Valkey's clock runs on for one even when it stands.
TOLERANCE = 0.002


class Promise(StrEnum):
    """What the product promises."""

    WORKS = "at rest, the stored token works as long as Redis says"
    HONEST = "Redis never says that all is well while the stored token is dead or dies sooner than Redis says"
    READ = "no reader is handed a dead token while Redis holds a live one, or the dead one that it was refused"
    REPORTED = "a dead token that was reported once is replaced"
    ONE_FETCH = "one fetch for each cause"
    ONE_TEST = "one test of a token in an interval, and of none that nobody reported and of which all is known"
    ONE_HOLDER = "one holder of the lease at a time, and nobody else ends it"
    FENCING = "fencing numbers only grow"
    LEDGER = "the ledger of the day counts every fetch"
    SPARED = "no fetch of ours ends a token that works, while a third one would"
    TESTED = "a token that WeChat may have replaced is tested"
    KEPT = "a token stays until it expires, or is found dead"
    WITHHELD = "a token that was found dead is handed out to nobody"
    GONE = "an account that was taken out stays out"
    AWARE = "while no replica would know of a fetch, none is made that can wait"
    TAKEN = "what was fetched is kept, unless somebody took a lease since"
    REPEATED = "a step that is done once more, since its reply got lost, does nothing more"
    REST = "when nothing goes wrong any more, the account comes to rest"


class BrokenPromiseError(AssertionError):
    """The product does not keep a promise."""

    def __init__(self, promise: Promise, detail: str = "") -> None:
        super().__init__(f"{promise}: {detail}" if detail else promise)
        self.promise = promise


@dataclass
class Issue:
    """Something at WeChat that ends the tokens before it: a new token, or a revocation (with no fingerprint)."""

    fingerprint: str = ""
    #: Whether our store can know of it; another program's fetch it hears of by nothing but a report.
    known: bool = False
    #: Whether a failover came after it: the token that it replaced is suspected until the overlap is over.
    found_out: bool = False


@dataclass
class Record:
    """The causes of fetches, the fetches, and what WeChat issued."""

    causes: list[str] = field(default_factory=lambda: ["there is no token"])
    fetches: int = 0
    #: Fetches since the world began.
    ever: int = 0
    #: Fetches of the day, as the ledger should have them.
    day: int = 0
    today: int = 0
    issues: list[Issue] = field(default_factory=list)
    #: Fingerprints that somebody reported, and those reports that were right, arrived and must be heard.
    reported: set[str] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    #: When each token was last tested, and whether WeChat answered.
    tests: dict[str, tuple[float, bool]] = field(default_factory=dict)

    def fetch(self, day: int) -> None:
        """Count a fetch that is about to be made; each needs a cause of its own."""
        self.today = self.today + 1 if day == self.day else 1
        self.day = day
        self.fetches += 1
        self.ever += 1
        if self.fetches > len(self.causes):
            raise BrokenPromiseError(Promise.ONE_FETCH, f"{self.fetches} for {self.causes}")

    def rest(self) -> None:
        """Begin anew: nothing is due any more, and all that was reported is done."""
        self.causes, self.fetches = [], 0
        self.owed.clear()

    def test(self, fingerprint: str, at: float, *, answered: bool, doubtful: bool) -> None:
        """Note that a token is tested, under a lease taken at `at`."""
        if fingerprint not in self.reported and not doubtful:
            raise BrokenPromiseError(Promise.ONE_TEST, "nobody reported it")
        before, told = self.tests.get(fingerprint, (float("-inf"), True))
        interval = DURATIONS.report_interval if told else DURATIONS.transient_cap
        if 0 <= at - before < interval - TOLERANCE:
            raise BrokenPromiseError(Promise.ONE_TEST, f"the last one was {at - before:.3f} s ago")
        self.tests[fingerprint] = at, answered

    def excuses(self, fingerprint: str) -> bool:
        """Say whether a token may be dead without our store being able to know."""
        names = [issue.fingerprint for issue in self.issues]
        if fingerprint not in names:
            return True
        return any(not (issue.known or issue.found_out) for issue in self._after(fingerprint))

    def replaced(self, fingerprint: str) -> bool:
        """Say whether WeChat issued another token after this one, as our store can know."""
        names = [issue.fingerprint for issue in self.issues]
        after = self._after(fingerprint) if fingerprint in names else []
        return bool(after) and all(issue.known for issue in after)

    def _after(self, fingerprint: str) -> list[Issue]:
        names = [issue.fingerprint for issue in self.issues]
        return self.issues[names.index(fingerprint) + 1 :]

    def take_back(self) -> None:
        """Have our store forget what it knows of all that WeChat issued; a failover tells it to look."""
        for issue in self.issues:
            issue.known = False
