"""The queue on RabbitMQ, with each place for results that Celery has there."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest
from support.processes import Stack, free_port, wait_for
from support.rabbitmq import RabbitMQ, absence

from acceptance.rows import Row
from acceptance.stage import Prover, Stage, make_account
from tokenworker.errors import TokenUnavailable
from tokenworker.reading.reader import TokenReader
from tokenworker.sandbox import Rules

#: A client with Celery and without our package.
_FOREIGN = """
import sys
from celery import Celery
app = Celery(broker=sys.argv[1], backend=sys.argv[2])
print(app.send_task("tokenworker.get_token", args=[sys.argv[3]], queue="tokenworker").get(timeout=10)["appid"])
"""

#: Seconds that RabbitMQ is away, and that Celery has to come back to it: it waits 2 s longer each time.
_AWAY, _RETURN = 5.0, 20.0

#: There since a tick came through.
_TICKED = "tokenworker:ticked"


def rabbitmq(prover: Prover) -> Iterator[Row]:
    """RabbitMQ has the queue, and Redis, RabbitMQ or nobody the results; it is killed and comes back."""
    missing = absence()
    if missing:
        yield Row(scenario="the queue on RabbitMQ", processes=0, expected=(0, 0), seen=0, note=f"skipped: {missing}")
        return
    broker = RabbitMQ(prover.folder / "rabbitmq")
    try:
        broker.start()
        for results in ("Redis", "rpc://", "disabled://"):
            yield _with_results(prover, broker, results)
    finally:
        broker.end()


def _with_results(prover: Prover, broker: RabbitMQ, results: str) -> Row:
    account = make_account(1)
    with Stage(prover, [account], Rules(life=600, overlap=5), scale=5 / 300) as stage:
        backend = stage.server.url if results == "Redis" else results
        stack = stage.stack()
        stack.environ |= {"CELERY_BROKER_URL": broker.url, "CELERY_RESULT_BACKEND": backend, "TOKENWORKER_TICK": "0.5"}
        stack.worker()
        stack.beat()
        stage.wait_for_tokens()
        faults = [*_reported(stage, broker.url), *_used(stage, stack), *_shown(stack)]
        with stage.watch() as watch:
            broker.kill()
            time.sleep(_AWAY)
            broker.start()
            seconds = _seconds_until_a_tick(stage)
        faults += [*_used(stage, stack), *_ended(stack)]
        return Row(
            scenario=f"the queue on RabbitMQ, killed; results: {results}",
            processes=3,
            # One more where a token was reported, and one for each refresh by hand that came late enough.
            expected=(2, 4),
            seen=stage.upstream.fetches(account.appid),
            slowest=seconds,
            limit=_RETURN,
            bad_reads=watch.bad(account.appid),
            others=tuple(faults),
        )


def _reported(stage: Stage, broker: str) -> Iterator[str]:
    """Report a dead token, by a task through the broker."""
    (appid,) = stage.appids
    with TokenReader(stage.server.url, celery=broker, durations=stage.durations) as reader:
        dead = reader.get_token(appid).access_token
        stage.upstream.revoke(appid)
        reader.reject(appid, dead)
        try:
            wait_for(lambda: _token(reader, appid) not in ("", dead))
        except pytest.fail.Exception:
            yield "no other token came for one that was reported"


def _token(reader: TokenReader, appid: str) -> str:
    try:
        return reader.get_token(appid).access_token
    except TokenUnavailable:
        return ""  # the report is being looked into


def _used(stage: Stage, stack: Stack) -> Iterator[str]:
    """Do what users do with a queue; yields what did not work."""
    broker, backend = stack.environ["CELERY_BROKER_URL"], stack.environ["CELERY_RESULT_BACKEND"]
    unanswered = backend.startswith("disabled")
    nodes = _run(stack, "-m", "celery", "--app=tokenworker", "inspect", "ping")
    if "2 nodes online" not in nodes:
        yield f"worker and beat do not both answer: {nodes[-200:]}"
    called = _run(stack, "-c", _FOREIGN, broker, backend, stage.appids[0])
    if unanswered != (stage.appids[0] not in called):
        yield f"get_token of another app: {called[-200:]}"
    asked = _run(stack, "-m", "tokenworker.cli", "refresh")
    if "Traceback" in asked or ("there is no result backend" if unanswered else '"outcome"') not in asked:
        yield f"tokenworker refresh: {asked[-200:]}"
    found = _run(stack, "-m", "tokenworker.cli", "check")
    if "FAULT" in found:
        yield f"tokenworker check: {found}"


def _shown(stack: Stack) -> Iterator[str]:
    port = free_port()
    stack.run("celery", "--app=tokenworker", "flower", "--address=127.0.0.1", f"--port={port}")
    try:
        wait_for(lambda: "w0@test" in _page(port), timeout=20)
    except pytest.fail.Exception:
        yield "Flower shows no worker"


def _ended(stack: Stack) -> Iterator[str]:
    ended = [str(process.args) for process in stack.processes if process.poll() is not None]
    if ended:
        yield f"ended: {', '.join(ended)}"


def _seconds_until_a_tick(stage: Stage) -> float:
    """Return how long it took until two ticks came through the queue: one may have been on its way before."""
    began = time.monotonic()
    with stage.server.client() as client:
        for _ in range(2):
            client.delete(_TICKED)
            wait_for(lambda: client.get(_TICKED), timeout=3 * _RETURN)
    return time.monotonic() - began


def _run(stack: Stack, *words: str) -> str:
    command = [sys.executable, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)
    return run.stdout + run.stderr


def _page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers", timeout=10) as answer:
            return str(answer.read(), "utf-8")
    except OSError:
        return ""
