"""Celery's processes die, or freeze."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator

from support.processes import Stack, wait_for
from support.targets import read

from acceptance.counting import counted
from acceptance.rows import Row
from acceptance.stage import SLACK, UPSTREAM, Prover, Stage, make_account
from tokenworker.accounts.account import ENDPOINTS
from tokenworker.reading.reader import TokenReader
from tokenworker.sandbox import Rules


def deaths(prover: Prover) -> Iterator[Row]:
    """The only worker is killed and restarted, is frozen for 5 s, beat is killed for good."""
    life, overlap, leeway = 11.0, 8.0, 7.8
    accounts = [make_account(number, endpoint, leeway) for number, endpoint in enumerate(ENDPOINTS)]
    rules = Rules(life=life, overlap=overlap, two_newest_only=False)
    with Stage(prover, accounts, rules, scale=overlap / 300, fetch_timeout=1.2) as stage:
        stack = stage.stack()
        worker, beat = stack.worker(), stack.beat()
        stage.wait_for_tokens()
        span = life - leeway
        with counted(stage, span, lost=1) as rows, stage.watch() as watch:
            worker = _killed_and_restarted(stage, stack, worker)
            time.sleep(span)
        yield from rows("worker killed in a fetch, restarted", watch, 2)
        # What got lost with it heals when the overlap is nearly over; the next fault comes after that.
        wait_for(lambda: not any(_in_doubt(stage, appid) for appid in stage.appids), timeout=20)
        with counted(stage, span, lost=2) as rows, stage.watch() as watch:
            _frozen_for_5_s(stage, worker)
            time.sleep(span)
        yield from rows("worker frozen in a fetch for 5 s", watch, 2)
        with counted(stage, span) as rows, stage.watch() as watch:
            beat.kill()
            time.sleep(3 * span)
        yield from rows("beat killed for good", watch, 1)
        yield from _reports_without_beat(stage)


def _in_doubt(stage: Stage, appid: str) -> bool:
    snapshot = stage.look(appid)
    return snapshot.in_doubt is not None or snapshot.resolved != snapshot.fencing


def _killed_and_restarted(stage: Stage, stack: Stack, worker: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    _amid_a_fetch(stage)
    worker.kill()
    worker.wait()
    time.sleep(1)
    return stack.worker()


def _frozen_for_5_s(stage: Stage, worker: subprocess.Popen[bytes]) -> None:
    _amid_a_fetch(stage)
    worker.send_signal(signal.SIGSTOP)
    time.sleep(5)
    worker.send_signal(signal.SIGCONT)


def _amid_a_fetch(stage: Stage) -> None:
    """Return while WeChat has the request and not yet answered."""
    answer = 0.9
    stage.upstream.slow(answer)
    before = sum(stage.fetches().values())
    wait_for(lambda: sum(stage.fetches().values()) > before)
    stage.upstream.slow(UPSTREAM)
    time.sleep(stage.prover.chance.uniform(0, answer / 2))


def _reports_without_beat(stage: Stage) -> Iterator[Row]:
    """Have a reader report a revoked token while nothing but the watchdog can act on it."""
    for appid in stage.appids:
        stage.upstream.rule(appid, life=60)
    wait_for(lambda: all(stage.look(appid).refresh_at - stage.look(appid).now > 30 for appid in stage.appids))
    durations = stage.durations
    limit = durations.report_interval + durations.watchdog_overdue + durations.watchdog_interval
    for account in stage.accounts:
        before = stage.upstream.fetches(account.appid)
        seconds = _until_mended(stage, account.appid, timeout=3 * limit)
        yield Row(
            scenario=f"no beat, a reader reports, {account.endpoint}",
            processes=1,
            expected=(1, 1),
            seen=stage.upstream.fetches(account.appid) - before,
            slowest=seconds,
            limit=limit + 2 * UPSTREAM + SLACK,
        )


def _until_mended(stage: Stage, appid: str, timeout: float) -> float:
    """Revoke the token, report it as a reader does, and say how long it takes until there is one that works."""
    began = time.monotonic()
    with TokenReader(stage.server.url, durations=stage.durations) as reader:
        token = reader.get_token(appid).access_token
        stage.upstream.revoke(appid)
        reader.reject(appid, token)
        while time.monotonic() < began + timeout and not _works(stage, appid):
            time.sleep(0.02)
    return time.monotonic() - began


def _works(stage: Stage, appid: str) -> bool:
    token = read(stage.store, appid)
    return token is not None and stage.upstream.verdict(token.access_token).works
