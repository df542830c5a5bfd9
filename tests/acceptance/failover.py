"""Redis's master is replaced: by Sentinels, in a cluster, behind an address that moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from pathlib import Path

from support.clusters import ClusterSet
from support.processes import Stack, wait_for
from support.replicated import Replicated
from support.sentinels import SentinelSet
from support.vip import Vip

from acceptance.reads import LIMIT, Reads
from acceptance.rows import Row
from acceptance.stage import UPSTREAM, Prover, Stage, make_account
from tokenworker.accounts.account import ENDPOINTS, Account
from tokenworker.sandbox import Rules
from tokenworker.store.connect import connect
from tokenworker.store.scripts import Scripts


@dataclass(frozen=True)
class Plan:
    """So many failovers in so many seconds, while tokens live so long and old ones work on through the overlap."""

    name: str
    failovers: int
    seconds: float
    life: float
    overlap: float

    @property
    def leeway(self) -> float:
        # A little less: WeChat gives out a new one at the stable endpoint once no more than the overlap is left.
        return self.overlap - 0.3

    @property
    def lives(self) -> int:
        """How many tokens an account has at most, one after another; half a second for where the ends fall."""
        return ceil((self.seconds + 0.5) / (self.life - self.leeway)) + 1

    @property
    def expected(self) -> tuple[int, int]:
        """The least and the most number of tokens: the first lives shorter, each failover may cost one."""
        return int(self.seconds / self.life) - 1, self.lives + 1 + self.failovers


KILLED = Plan("5 masters killed in 60 s", 5, 60, life=14, overlap=7)
FROZEN = Plan("4 masters frozen in 60 s, and woken", 4, 60, life=14, overlap=7)
PLANNED = Plan("5 failovers ordered in 90 s", 5, 90, life=40, overlap=18)
CLUSTER = Plan("cluster, 2 masters killed in 40 s", 2, 40, life=14, overlap=7)
MOVED = Plan("address moved 3 times in 36 s", 3, 36, life=14, overlap=7)


def failover(prover: Prover) -> Iterator[Row]:
    """Redis's master is replaced under Sentinels, in a cluster, and behind an address that moves."""
    yield from _under_sentinels(prover, KILLED, _kill)
    yield from _under_sentinels(prover, FROZEN, _freeze)
    # Some 5 s in which the old master takes writes, so that some account is fetched in them each time.
    yield from _under_sentinels(prover, PLANNED, _order, publish_period=1.0)
    yield from _in_a_cluster(prover)
    yield from _behind_an_address(prover)


# Where the tokens are


@dataclass(frozen=True)
class Place:
    """Servers, with what replaces their master, and what waits until all are in step again."""

    url: str
    strike: Callable[[], None]
    mend: Callable[[], object]
    #: Whether Celery needs a server of its own.
    has_no_queue: bool = False


def _under_sentinels(
    prover: Prover, plan: Plan, strike: Callable[[SentinelSet], None], publish_period: float = 0.2
) -> Iterator[Row]:
    with SentinelSet(_folder(prover), down_after=1.5, publish_period=publish_period) as sentinels:
        place = Place(sentinels.url, lambda: strike(sentinels), sentinels.wait_until_whole)
        yield from _row(prover, plan, place)


def _kill(sentinels: SentinelSet) -> None:
    old = sentinels.kill_master()
    sentinels.wait_for_another(old)
    old.start()


def _freeze(sentinels: SentinelSet) -> None:
    old = sentinels.freeze_master()
    sentinels.wait_for_another(old)
    time.sleep(1)
    sentinels.wake(old)


def _order(sentinels: SentinelSet) -> None:
    sentinels.failover()


def _in_a_cluster(prover: Prover) -> Iterator[Row]:
    with ClusterSet(_folder(prover)) as cluster:

        def strike() -> None:
            dead = cluster.kill_master(prover.chance.randrange(3))
            cluster.wait_for_another(dead)
            dead.start()

        yield from _row(prover, CLUSTER, Place(cluster.url, strike, cluster.wait_until_whole, has_no_queue=True))


def _behind_an_address(prover: Prover) -> Iterator[Row]:
    with Replicated(_folder(prover)) as servers, Vip(servers.master) as vip:

        def strike() -> None:
            servers.failover()
            vip.move(servers.master)

        yield from _row(prover, MOVED, Place(vip.url, strike, lambda: wait_for(servers.is_in_step)))


def _folder(prover: Prover) -> Path:
    return prover.folder / f"servers-{time.monotonic_ns()}"


# What happens there


def _row(prover: Prover, plan: Plan, place: Place) -> Iterator[Row]:
    """Strike as planned while two workers, a beat and two readers are at it."""
    accounts = kept_accounts(plan)
    rules = Rules(life=plan.life, overlap=plan.overlap)
    with Stage(prover, accounts, rules, scale=plan.overlap / 300, environ={"REDIS_URL": place.url}) as stage:
        names = ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND") if place.has_no_queue else ()
        own = dict.fromkeys(names, stage.server.url)
        _spread(stage, plan)
        stack = stage.stack()
        stack.worker(**own)
        stack.worker(**own)
        stack.beat(**own)
        stage.wait_for_tokens(timeout=20)
        for appid in stage.appids:
            stage.upstream.rule(appid)
        with Reads(stage) as reads:
            before = mints(stage)
            _strike(plan, place)
            made = {appid: count - before[appid] for appid, count in mints(stage).items()}
        yield Row(
            scenario=plan.name,
            processes=3,
            expected=plan.expected,
            seen=max(made.values()),
            slowest=reads.slowest,
            limit=LIMIT,
            bad_reads=reads.bad,
            others=tuple(faults(stage, stack)),
            note=f"{min(made.values())}-{max(made.values())} tokens an account, {reads.count} reads{reads.story}",
        )


def _spread(stage: Stage, plan: Plan) -> None:
    """Have the first tokens live so long that from then on at each moment some account is about to be fetched."""
    for number, appid in enumerate(stage.appids):
        share = (number + 1) / len(stage.appids)
        stage.upstream.rule(appid, life=plan.leeway + share * (plan.life - plan.leeway))


def kept_accounts(plan: Plan, number: int = 20) -> list[Account]:
    """Return accounts of both endpoints, with a published copy each."""
    made = [make_account(each, ENDPOINTS[each % 2], plan.leeway) for each in range(number)]
    return [replace(account, publish=(_copy(account.appid),)) for account in made]


def _copy(appid: str) -> str:
    return f"copy-of-{appid}"


def mints(stage: Stage) -> dict[str, int]:
    """Return how many tokens WeChat made for each account; a fetch at the stable endpoint may bring the same again."""
    return {appid: len(stage.upstream.mints(appid)) for appid in stage.appids}


def _strike(plan: Plan, place: Place) -> None:
    """Strike at even intervals, each time when all is whole again."""
    began, each = time.monotonic(), plan.seconds / plan.failovers
    for number in range(plan.failovers):
        place.strike()
        place.mend()
        time.sleep(max(0.0, began + (number + 1) * each - time.monotonic()))


def faults(stage: Stage, *stacks: Stack) -> Iterator[str]:
    """Say what is wrong besides: processes that ended, calls at once, copies that are none."""
    for stack in stacks:
        for number, process in enumerate(stack.processes):
            if process.poll() is not None:
                yield f"a process ended: {stack.log(number).strip().splitlines()[-1][:200]}"
    calls = {appid: [call.at for call in stage.upstream.calls(appid)] for appid in stage.appids}
    gaps = [later - at for each in calls.values() for at, later in pairwise(each)]
    # Each call lasts as long as its answer is late.
    at_once = sum(gap < 0.9 * UPSTREAM for gap in gaps)
    if at_once:
        yield f"{at_once} calls were made while another one was under way, {min(gaps):.2f} s after it"
    with closing(Scripts(connect(stage.url))) as scripts:
        torn = [appid for appid in stage.appids if not _is_whole(scripts, appid)]
    if torn:
        yield f"{len(torn)} copies are not what they are copies of"


def _is_whole(scripts: Scripts, appid: str) -> bool:
    """Say whether a token and its published copy are there, and the same; they are not in one step on a cluster."""
    end = time.monotonic() + 2
    while True:
        token, copy = (scripts.command("GET", key) for key in (f"tokenworker:{{{appid}}}:access_token", _copy(appid)))
        if (token is not None and token == copy) or time.monotonic() > end:
            return bool(token == copy)
        time.sleep(0.05)
