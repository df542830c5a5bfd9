"""Redis is killed, or loses everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from support.processes import wait_for

from acceptance.rows import Row
from acceptance.stage import UPSTREAM, Prover, Stage, make_account
from acceptance.upstream import Call
from acceptance.watch import Watch, by_reader
from tokenworker.accounts.account import ENDPOINTS
from tokenworker.reading.reader import TokenReader
from tokenworker.sandbox import Rules


def redis_killed(prover: Prover) -> Iterator[Row]:
    """Redis is killed between a fetch and its commit, and comes back with its append-only file a second later."""
    overlap, first_life, leeway = 6.0, 9.0, 5.9
    accounts = [make_account(number, endpoint, leeway) for number, endpoint in enumerate(ENDPOINTS)]
    rules = Rules(life=60, overlap=overlap, two_newest_only=False)
    with Stage(prover, accounts, rules, scale=overlap / 300, fetch_timeout=1.2) as stage:
        for appid in stage.appids:
            stage.upstream.rule(appid, life=first_life)
        stack = stage.stack()
        stack.worker()
        stack.beat()
        stage.wait_for_tokens()
        for appid in stage.appids:
            stage.upstream.rule(appid)
        with (
            TokenReader(stage.server.url, durations=stage.durations) as reader,
            Watch(by_reader(reader, stage.appids), stage.upstream) as watch,
        ):
            before = stage.fetches()
            seconds = _kill_between_fetch_and_commit(stage)
            time.sleep(overlap + 1)
        for account in accounts:
            yield Row(
                scenario=f"Redis killed before the commit, {account.endpoint}",
                processes=2,
                expected=(1, 1),
                seen=stage.upstream.fetches(account.appid) - before[account.appid],
                slowest=seconds,
                bad_reads=watch.bad(account.appid),
                note="; ".join(filter(None, ("what WeChat answered is kept", watch.story(account.appid)))),
            )


def _kill_between_fetch_and_commit(stage: Stage) -> float:
    """Return how long it took from Redis's return until all had new tokens."""
    old = {appid: stage.look(appid).fingerprint for appid in stage.appids}
    before, answer = stage.fetches(), 0.9
    stage.upstream.slow(answer)
    wait_for(lambda: all(count > before[appid] for appid, count in stage.fetches().items()))
    stage.upstream.slow(UPSTREAM)
    time.sleep(stage.prover.chance.uniform(0, answer / 3))
    stage.server.kill()
    time.sleep(1)
    stage.server.start()
    began = time.monotonic()
    wait_for(lambda: all(stage.look(appid).fingerprint != old[appid] for appid in stage.appids), timeout=20)
    return time.monotonic() - began


def flushall(prover: Prover) -> Iterator[Row]:
    """Somebody sends FLUSHALL to a Redis that keeps 300 accounts."""
    rate, concurrency = 30, 8
    accounts = [make_account(number, ENDPOINTS[number % 2]) for number in range(300)]
    environ = {
        "TOKENWORKER_FETCH_RATE": str(rate),
        "TOKENWORKER_FETCH_CONCURRENCY": str(concurrency),
        "TOKENWORKER_TICK": "0.25",
    }
    with Stage(prover, accounts, Rules(), scale=0.1, environ=environ) as stage:
        stack = stage.stack()
        # Answers so quick that the rate is what limits, then so slow that it is the concurrency.
        stage.upstream.slow(0.1)
        stack.worker()
        stack.worker()
        stack.beat()
        stage.wait_for_tokens(timeout=40)
        yield _filled(stage, "300 accounts, all new", 0.1, rate, concurrency)
        stage.upstream.slow(0.4)
        stage.upstream.platform.calls.clear()
        with stage.server.client() as client:
            client.flushall()
        stage.wait_for_tokens(timeout=40)
        yield _filled(stage, "300 accounts, FLUSHALL", 0.4, rate, concurrency)


def _filled(stage: Stage, scenario: str, answer: float, rate: int, concurrency: int) -> Row:
    time.sleep(1)
    calls = sorted(stage.upstream.platform.calls, key=lambda call: call.at)
    counts = Counter(call.appid for call in calls)
    # A token bucket: as many at once as may be under way, then one each 1/rate s.
    most, at_once = _most_within(calls, 1.0), _most_within(calls, answer)
    faults = [f"{appid} was fetched {counts[appid]} times" for appid in stage.appids if counts[appid] != 1]
    if most > rate + concurrency:
        faults.append(f"{most} fetches began within a second")
    if at_once > concurrency:
        faults.append(f"{at_once} fetches were under way at once")
    return Row(
        scenario=scenario,
        processes=3,
        expected=(len(stage.accounts), len(stage.accounts)),
        seen=len(calls),
        slowest=calls[-1].at - calls[0].at,
        others=tuple(faults[:3]),
        note=f"{most} in the busiest second of {rate} + {concurrency} allowed, {at_once} at once of {concurrency}",
    )


def _most_within(calls: Sequence[Call], seconds: float) -> int:
    """Count the calls of the busiest stretch of time; `calls` in their order."""
    starts = [call.at for call in calls]
    return max(sum(start <= other < start + seconds for other in starts) for start in starts)
