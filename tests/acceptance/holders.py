"""The holder of the lease dies, freezes or waits in vain: somebody else goes on, and what got mixed up heals."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from support.processes import wait_for
from support.targets import read

from acceptance.crowd import Caller
from acceptance.rows import Row
from acceptance.stage import SLACK, UPSTREAM, Prover, Stage, make_account
from acceptance.watch import Watch
from tokenworker.accounts.account import Account, Endpoint
from tokenworker.sandbox import Fault, Rules

#: The overlap, and so the leeway, is 6 s; the lease of a fetch is 15/8 of its deadline, 2.25 s.
OVERLAP = 6.0
FETCH_TIMEOUT = 1.2
LEASE = FETCH_TIMEOUT * 15 / 8
#: What was sent is answered so late that there is time for a signal.
ANSWER = 0.9
#: The first token is stale soon, the later ones are not while somebody watches.
FIRST_LIFE = 9.0
LIFE = 60.0

#: As many as keep up: of 18 accounts each costs a test of its token and a fetch, at 0.3 s.
KEEPERS = 4
ALL_AT_ONCE = {"TOKENWORKER_FETCH_RATE": "1000", "TOKENWORKER_FETCH_CONCURRENCY": "100"}


When = Literal["before sending", "after sending", "before the commit"]

HEALS = "its own, another's, one that heals"
#: On the classic endpoint, whose tokens replace one another, a fetch whose end is not known may cost one more: when
#: the one that follows begins while WeChat may still act on it, 2.4 s from its beginning.
STRAY = "one when WeChat can't act late any more"


@dataclass(frozen=True)
class Case:
    """One holder, one account: what happens to him and when, and how many fetches that costs.

    Without a signal WeChat answers him, but so late that the lease is over. `named` says what makes more than two
    fetches right.
    """

    endpoint: Endpoint
    struck_by: signal.Signals | None
    when: When
    fetches: tuple[int, int]
    named: str = ""
    #: The sandbox's stricter reading of WeChat: a third classic token kills the first, overlap or not.
    strict: bool = False

    @property
    def scenario(self) -> str:
        what = f"{_VERBS[self.struck_by]} {self.when}" if self.struck_by else "answered after the lease"
        return f"holder {what}, {self.endpoint}" + (", strict" if self.strict else "")

    @property
    def is_sent(self) -> bool:
        return self.when != "before sending"


_VERBS = {signal.SIGKILL: "killed", signal.SIGSTOP: "frozen"}


def _cases(endpoint: Endpoint) -> list[Case]:
    kill, stop = signal.SIGKILL, signal.SIGSTOP
    cases = [
        Case(endpoint, kill, "before sending", (1, 1)),
        Case(endpoint, kill, "after sending", (2, 2)),
        Case(endpoint, stop, "before sending", (3, 3), HEALS),
        Case(endpoint, stop, "after sending", (2, 3), HEALS),
        Case(endpoint, stop, "before the commit", (3, 3), HEALS),
        Case(endpoint, None, "after sending", (2, 2)),
    ]
    return cases if endpoint == "stable_token" else [_and_one_more(case) for case in cases]


def _and_one_more(case: Case) -> Case:
    least, most = case.fetches
    return replace(case, fetches=(least, most + 1), named="; ".join(filter(None, (case.named, STRAY))))


@dataclass
class Holder:
    """A case with its account and the process that holds the lease."""

    case: Case
    account: Account
    caller: Caller
    before: int = 0

    def refresh(self, *, early: bool = False) -> None:
        """Begin the fetch that will not end well."""
        by = self.case.struck_by.name if self.case.struck_by else None
        self.caller.order("refresh", appid=self.account.appid, early=early, struck_by=by, when=self.case.when)


def holders(prover: Prover) -> Iterator[Row]:
    """The holder of the lease is killed, frozen, or answered too late, just when its token is stale."""
    strict = [replace(case, strict=True) for case in _cases("token")]
    return _prove(prover, [*_cases("stable_token"), *_cases("token"), *strict], early=False)


def early(prover: Prover) -> Iterator[Row]:
    """The same in a refresh that somebody asked for: the token is not stale for long, so nobody would look again."""
    stable = Case("stable_token", signal.SIGKILL, "after sending", (2, 2))
    # A stable_token whose answer got lost is no other than the one before.
    lost = Case("stable_token", None, "after sending", (1, 2))
    classic = [Case("token", case.struck_by, "after sending", (2, 3), STRAY) for case in (stable, lost)]
    return _prove(prover, [stable, lost, *classic], early=True)


def _prove(prover: Prover, cases: list[Case], *, early: bool) -> Iterator[Row]:
    accounts = [make_account(number, case.endpoint, OVERLAP - 0.1) for number, case in enumerate(cases)]
    rules = Rules(life=LIFE, overlap=OVERLAP, two_newest_only=False)
    with Stage(prover, accounts, rules, scale=OVERLAP / 300, fetch_timeout=FETCH_TIMEOUT, environ=ALL_AT_ONCE) as stage:
        held = [Holder(*parts) for parts in zip(cases, accounts, stage.callers(len(cases)), strict=True)]
        keepers = stage.callers(KEEPERS)
        _first_tokens(stage, held, LIFE if early else FIRST_LIFE)
        with stage.watch() as watch:
            wait_for(lambda: all(_may_be_fetched(stage, holder.account.appid, early) for holder in held))
            _strike(stage, held, early=early)
            _others_take_over(stage, held, keepers)
        yield from _rows(stage, held, watch, early=early)


def _first_tokens(stage: Stage, held: list[Holder], life: float) -> None:
    for holder in held:
        stage.upstream.rule(holder.account.appid, life=life)
    for holder in held:
        holder.caller.order("refresh", appid=holder.account.appid)
    for holder in held:
        holder.caller.answer()
        stage.upstream.rule(holder.account.appid, two_newest_only=holder.case.strict)


def _may_be_fetched(stage: Stage, appid: str, early: bool) -> bool:
    """Say whether the token is stale, or old enough to be replaced early: not within the overlap."""
    snapshot = stage.look(appid)
    return snapshot.now >= (snapshot.fetched_at + OVERLAP + 0.1 if early else snapshot.refresh_at)


def _strike(stage: Stage, held: list[Holder], *, early: bool) -> None:
    """Have all holders fetch, and strike each at its moment."""
    unlucky = [holder.account.appid for holder in held if not holder.case.struck_by]
    late = [Fault("delay", appid=appid, seconds=LEASE + 1) for appid in unlucky]
    stage.upstream.slow(ANSWER, first=late)
    for holder in held:
        holder.before = stage.upstream.fetches(holder.account.appid)
        holder.refresh(early=early)
    sent = [holder for holder in held if holder.case.is_sent]
    wait_for(lambda: all(stage.upstream.fetches(holder.account.appid) > holder.before for holder in sent))
    time.sleep(stage.prover.chance.uniform(0, ANSWER / 3))
    for holder in sent:
        if holder.case.struck_by and holder.case.when == "after sending":
            holder.caller.strike(holder.case.struck_by)
    wait_for(lambda: all(holder.caller.is_struck() for holder in held if holder.case.struck_by))
    stage.upstream.slow(UPSTREAM)


def _others_take_over(stage: Stage, held: list[Holder], keepers: list[Caller]) -> None:
    """Let other processes keep the accounts; wake the frozen when their lease is over and somebody has fetched."""
    own = {holder.account.appid: holder.before + holder.case.is_sent for holder in held}
    for keeper in keepers:
        keeper.order("keep", seconds=LEASE + OVERLAP + 4)
    frozen = [holder for holder in held if holder.case.struck_by == signal.SIGSTOP]
    waiting = {holder.account.appid for holder in frozen}
    if waiting:
        wait_for(lambda: all(stage.upstream.fetches(appid) > own[appid] for appid in waiting))
        wait_for(lambda: all(stage.look(appid).lease_left is None for appid in waiting))
    for holder in frozen:
        holder.caller.strike(signal.SIGCONT)
    for keeper in keepers:
        keeper.answer(timeout=30)
    for holder in held:
        if holder.case.struck_by != signal.SIGKILL:
            holder.caller.answer()


def _rows(stage: Stage, held: list[Holder], watch: Watch, *, early: bool) -> Iterator[Row]:
    for holder in held:
        case, appid = holder.case, holder.account.appid
        # Whoever heals makes a third token; until he has it, nobody knows it, and the first is dead already.
        inherent = case.strict and watch.gap(appid) < UPSTREAM + SLACK
        yield Row(
            scenario=case.scenario + (", early" if early else ""),
            processes=1 + KEEPERS,
            expected=case.fetches,
            seen=stage.upstream.fetches(appid) - holder.before,
            bad_reads=watch.bad(appid),
            inherent=inherent,
            others=() if _ends_well(stage, appid) else ("the token at the end does not work",),
            note="; ".join(filter(None, (case.named, watch.story(appid)))),
        )


def _ends_well(stage: Stage, appid: str) -> bool:
    token = read(stage.store, appid)
    return token is not None and stage.upstream.verdict(token.access_token).works
