"""Many processes at the same moment: however many ask, one fetches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import quantiles
from typing import Any, Literal

from support.processes import wait_for

from acceptance.crowd import Caller
from acceptance.rows import Row
from acceptance.stage import UPSTREAM, Prover, Stage, make_account
from tokenworker.accounts.account import ENDPOINTS, Endpoint
from tokenworker.credential import CredentialId
from tokenworker.sandbox import Rules

Situation = Literal["cold", "expired", "revoked"]

#: 5 s stand for the five minutes of overlap.
SCALE = 5 / 300
OVERLAP = Rules(life=120, overlap=5)
NO_OVERLAP = Rules(life=120, overlap=0)

#: From the barrier until everybody has a token; not counted is the time of upstream, and that which the processes
#: take for so many reads alone: whoever waits for a token reads as often.
LIMIT = 2.0
READS = 10


def herd_of_32(prover: Prover) -> Iterator[Row]:
    """32 processes see a cold account, an expired token, a revoked token."""
    return _herds(prover, 32)


def herd_of_200(prover: Prover) -> Iterator[Row]:
    """200 processes see the same."""
    return _herds(prover, 200)


def _herds(prover: Prover, number: int) -> Iterator[Row]:
    for rules in (OVERLAP, NO_OVERLAP):
        accounts = [make_account(place, endpoint) for place, endpoint in enumerate(ENDPOINTS)]
        with Stage(prover, accounts, rules, scale=SCALE) as stage:
            callers = stage.callers(number)
            reading = max(answer["seconds"] for answer in _at_once(callers, "read", appid=stage.appids[0], times=READS))
            for endpoint in ENDPOINTS:
                for situation in _SITUATIONS:
                    yield _herd(stage, callers, endpoint, situation, reading)


def _herd(stage: Stage, callers: list[Caller], endpoint: Endpoint, situation: Situation, reading: float) -> Row:
    stage.empty()
    account = next(account for account in stage.accounts if account.endpoint == endpoint)
    rejected = _SITUATIONS[situation](stage, callers[0], account.appid)
    before = stage.upstream.fetches(account.appid)
    stage.upstream.platform.calls.clear()
    answers = _at_once(callers, "get", appid=account.appid, rejected=rejected)
    # A token whose holder was told of it must work, and go on working.
    without = [answer for answer in answers if not stage.upstream.works(answer.get("fingerprint", ""))]
    seconds = sorted(answer["seconds"] for answer in answers)
    middle, late = (quantiles(seconds, n=100, method="inclusive")[cut] for cut in (49, 98))
    overlap = "overlap" if stage.upstream.platform.rules.overlap else "no overlap"
    calls = 2 if situation == "revoked" else 1
    probes = sum(call.what == "probe" for call in stage.upstream.calls(account.appid))
    return Row(
        scenario=f"{len(callers)} see {situation}, {endpoint}, {overlap}",
        processes=len(callers),
        expected=(1, 1),
        seen=stage.upstream.fetches(account.appid) - before,
        slowest=seconds[-1],
        limit=LIMIT + calls * UPSTREAM + reading,
        bad_reads=len(without),
        others=tuple({answer["error"] for answer in answers if "error" in answer}),
        note=f"p50 {middle:.2f} s, p99 {late:.2f} s; {READS} reads alone: {reading:.2f} s; probes: {probes}",
    )


def _at_once(callers: list[Caller], do: str, **details: Any) -> list[dict[str, Any]]:
    # The barrier is a moment: by then, each process has read its order and waits for it.
    at = time.monotonic() + 0.3 + 0.003 * len(callers)
    for caller in callers:
        caller.order(do, at=at, **details)
    return [caller.answer(timeout=30) for caller in callers]


def _cold(_: Stage, __: Caller, ___: str) -> None:
    """Nobody has ever fetched."""


def _expired(stage: Stage, caller: Caller, appid: str) -> None:
    stage.upstream.rule(appid, life=UPSTREAM + 0.5)
    _fetched(caller, appid)
    stage.upstream.rule(appid)
    wait_for(lambda: [id_.account for id_ in stage.store.bulk.missing([CredentialId(each) for each in [appid]])])


def _revoked(stage: Stage, caller: Caller, appid: str) -> str:
    rejected = _fetched(caller, appid)
    stage.upstream.revoke(appid)
    return rejected


def _fetched(caller: Caller, appid: str) -> str:
    caller.order("get", appid=appid, at=0.0)
    return str(caller.answer()["fingerprint"])


_SITUATIONS: dict[Situation, Callable[[Stage, Caller, str], str | None]] = {
    "cold": _cold,
    "expired": _expired,
    "revoked": _revoked,
}
