"""Others who fetch for the same appid, and services that report what is not so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil

from acceptance.crowd import Caller
from acceptance.rows import Row
from acceptance.stage import SLACK, Prover, Stage, make_account
from tokenworker.sandbox import Rules
from tokenworker.worker.status import describe


def rival(prover: Prover) -> Iterator[Row]:
    """Another program fetches for the same classic appid every second, while services report what dies."""
    seconds, services = 25, 8
    with Stage(prover, [make_account(1, "token")], Rules(life=120, overlap=5), scale=5 / 300) as stage:
        appid = stage.appids[0]
        callers, (other, keeper) = stage.callers(services), stage.callers(2)
        _first_token(callers[0], appid)
        other.order("rival", appid=appid, seconds=seconds, pause=1.0)
        keeper.order("keep", seconds=seconds)
        for caller in callers:
            caller.order("serve", appid=appid, seconds=seconds, pause=0.05)
        seen = [caller.answer(seconds + 20) for caller in callers]
        foreign = other.answer()["fetches"]
        state = describe(stage.look(appid), stage.durations)["state"]
        # Four deaths are taken for accidents, one each report_interval; then one call each contested_interval.
        budget = 1 + 4 + ceil(seconds / stage.durations.contested_interval)
        calls, refused, without = (sum(answer[what] for answer in seen) for what in ("calls", "refused", "without"))
        yield Row(
            scenario=f"a rival fetches {foreign} times in {seconds} s, token",
            processes=services + 2,
            expected=(2, budget),
            seen=stage.upstream.fetches(appid) - foreign,
            others=() if state == "contested" else (f"the status says {state}, not contested",),
            note=f"status: {state}; {services} services: {calls} calls, {refused} refused, {without} without a token",
        )


def hostile(prover: Prover) -> Iterator[Row]:
    """32 services report the live token over and over, though it works."""
    seconds, reporters = 10, 32
    with Stage(prover, [make_account(1, "token")], Rules(), scale=1 / 30) as stage:
        appid = stage.appids[0]
        callers, (keeper,) = stage.callers(reporters), stage.callers(1)
        _first_token(callers[0], appid)
        before = stage.upstream.fetches(appid)
        keeper.order("keep", seconds=seconds + 1)
        for number, caller in enumerate(callers):
            through = ("reader", "get_token")[number % 2]
            caller.order("report", appid=appid, seconds=seconds, pause=0.01, through=through)
        seen = [caller.answer(seconds + 20) for caller in callers]
        reports, without = (sum(answer[what] for answer in seen) for what in ("reports", "without"))
        keeper.answer()
        probes = [call.at for call in stage.upstream.calls(appid) if call.what == "probe"]
        interval = stage.durations.report_interval
        closest = min((later - earlier for earlier, later in pairwise(probes)), default=interval)
        sound = len(probes) <= seconds / interval + 1 and closest > interval - SLACK
        yield Row(
            scenario="32 report a live token for 10 s, token",
            processes=reporters + 1,
            expected=(0, 0),
            seen=stage.upstream.fetches(appid) - before,
            others=() if sound else (f"more than one probe in {interval:g} s",),
            bad_reads=without,
            note=f"{reports} reports, {len(probes)} probes, at least {closest:.2f} s apart",
        )


def _first_token(caller: Caller, appid: str) -> None:
    caller.order("get", appid=appid, at=0.0)
    caller.answer()
