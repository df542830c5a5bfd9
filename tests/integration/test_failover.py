"""What a failover takes back, case by case: a replica that lacks the last writes becomes the master.

A replica sits behind a link that is stalled at the moment in question. Two workers each have a way of their own to
Redis, and an answer of WeChat's can be held back. The classic endpoint: each fetch there makes a new token, a second
one leaves the first alive for the overlap, and a third ends it at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha1
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from support.credentials import put
from support.processes import wait_for
from support.replicated import Node, Replicated
from support.targets import token_of
from support.vip import Vip

from tokenworker.accounts.account import Account
from tokenworker.credential import Issued, fingerprint
from tokenworker.credentials.kind import Kind
from tokenworker.durations import Durations
from tokenworker.errors import TokenWorkerError
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.refresh.turns import Limits
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Rules, Sandbox
from tokenworker.secret import Secret
from tokenworker.store.connect import connect
from tokenworker.store.records import Replication
from tokenworker.store.scripts import source
from tokenworker.store.store import Store
from tokenworker.wechat.source import Source, WeChat
from tokenworker.wechat.transport import Transport
from tokenworker.worker.failovers import Failovers

OVERLAP = 4.0
DURATIONS = replace(Durations().scaled(OVERLAP / 300), fetch_timeout=1.5, replication=0.2)

#: The first token is stale after some 2 s, the next ones not while a test lasts.
FIRST_LIFE, LIFE, LEEWAY = 8.0, 100.0, 6.0

TARGET = token_of(Account(DEMO_APPID, Secret(DEMO_SECRET), endpoint="token", leeway=LEEWAY))
TOKEN = f"tokenworker:{{{DEMO_APPID}}}:access_token"


class Flights:
    """The calls to WeChat that are under way, of all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = self.most = 0

    def __enter__(self) -> Self:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


class Gate:
    """WeChat, whose answers are held back while the gate is shut."""

    def __init__(self, source: Source, flights: Flights) -> None:
        self._source = source
        self._flights = flights
        self._opened = threading.Event()
        self.reached = threading.Event()
        self.open()

    def shut(self) -> None:
        self._opened.clear()
        self.reached.clear()

    def open(self) -> None:
        self._opened.set()

    def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
        with self._flights:
            issued = self._source.fetch(kind, account, inputs, force=force)
            self._wait()
            return issued

    def is_alive(self, kind: Kind, value: Secret) -> bool:
        with self._flights:
            alive = self._source.is_alive(kind, value)
            self._wait()
            return alive

    def _wait(self) -> None:
        self.reached.set()
        assert self._opened.wait(20)


class Worker:
    """What a worker does, on a way of its own to Redis."""

    def __init__(self, vip: Vip, sandbox: Sandbox, flights: Flights) -> None:
        self.vip = vip
        self.store = Store(connect(vip.url, timeout=0.5), replication=Replication(1, DURATIONS.replication))
        wechat = WeChat(Transport(), {"wechat": (sandbox.url,)}, DURATIONS.fetch_timeout)
        self.gate = Gate(wechat, flights)
        fetcher = Fetcher(self.store, self.gate, DURATIONS, limits=lambda: Limits(rate=1000, concurrency=100))
        self.keeper = Keeper(self.store, fetcher, DURATIONS)
        # All that it wants of the reconciler is whom we keep credentials for.
        kept: Any = SimpleNamespace(targets={TARGET.id: TARGET})
        self.failovers = Failovers(self.store, kept, Limits)

    def refresh(self, demand: Demand | None = None) -> str:
        """Do what a tick has a worker do; returns how it went."""
        try:
            return self.keeper.refresh(TARGET, demand).result
        except TokenWorkerError as error:
            return type(error).__name__


class Scene:
    """A master, two replicas, two workers, WeChat, and one token that has just become stale."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exits = ExitStack()
        self.flights = Flights()

    def __enter__(self) -> Self:
        with ExitStack() as exits:
            self.servers = exits.enter_context(Replicated(self._folder, replicas=2))
            self.sandbox = exits.enter_context(Sandbox(Rules(life=LIFE, overlap=OVERLAP)))
            self.workers = [self._worker(exits) for _ in range(2)]
            self._pool = exits.enter_context(ThreadPoolExecutor(4))
            exits.callback(self._open)
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def _worker(self, exits: ExitStack) -> Worker:
        vip = exits.enter_context(Vip(self.servers.master))
        worker = Worker(vip, self.sandbox, self.flights)
        exits.callback(worker.store.close)
        return worker

    def _open(self) -> None:
        self.servers.flow()
        for worker in self.workers:
            worker.gate.open()
            worker.vip.flow()

    def begin(self) -> str:
        """Have one token that is stale, and that all servers have; returns it."""
        self._rule(FIRST_LIFE)
        assert self.workers[0].refresh() == "refreshed"
        self._rule(LIFE)
        wait_for(lambda: self.servers.master.acknowledged(replicas=2) == 2)
        snapshot = self.workers[0].store.records.look(TARGET.id)
        time.sleep(max(0.0, snapshot.refresh_at - snapshot.now) + 0.05)
        return self.key()

    def _rule(self, life: float) -> None:
        for account in self.sandbox.platform.accounts():
            for slot in account.slots():
                slot.rules = replace(slot.rules, life=life)

    def start(self, worker: Worker, demand: Demand | None = None) -> Future[str]:
        """Have a worker refresh beside us, until it waits for WeChat's answer or is done without."""
        worker.gate.shut()
        future = self._pool.submit(worker.refresh, demand)
        wait_for(lambda: worker.gate.reached.is_set() or future.done())
        return future

    def fail_over(self, *workers: Worker, demote: bool = True) -> Node:
        """Make a replica the master as it is now, and lead these workers, or all, to it; returns the old master."""
        old = self.servers.promote(self.servers.replicas[0])
        if demote:
            self.servers.demote(old)
        self.lead(*workers)
        return old

    def lead(self, *workers: Worker) -> None:
        """Lead these workers, or all, to the present master."""
        for worker in workers or self.workers:
            worker.vip.move(self.servers.master)
            worker.vip.cut()

    def settle(self, seconds: float = 6.0) -> None:
        """Have both workers do what ticks have them do, until nothing is left to do."""
        end = time.monotonic() + seconds
        while True:
            done = [worker.refresh() for worker in self.workers]
            snapshot = self.workers[0].store.records.look(TARGET.id)
            if done == ["fresh", "fresh"] and snapshot.refresh_at > snapshot.now and not snapshot.in_doubt:
                return
            assert time.monotonic() < end, f"nothing came of it: {done}, {snapshot}"
            time.sleep(0.1)

    def key(self) -> str:
        """Return what readers find."""
        with self.servers.master.admin() as client:
            value = client.get(TOKEN)
        assert isinstance(value, bytes)
        return value.decode()

    def verdict(self, token: str | None = None) -> str:
        return self.sandbox.verdict(token or self.key()).verdict

    def mints(self) -> int:
        """Return how many tokens WeChat has made."""
        return self.sandbox.counts().fetches


@contextmanager
def lost_answer(worker: Worker, script: str) -> Iterator[None]:
    """Have the server run a script, and its answer get lost."""
    sha = sha1(source(script).encode(), usedforsecurity=False).hexdigest()
    worker.vip.lose_answer(sha.encode())
    yield
    assert worker.vip.has_lost_it


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Scene(tmp_path / "servers") as scene:
        yield scene


def test_s1_a_lease_that_no_replica_has_leads_to_no_fetch(scene: Scene) -> None:
    """Lease and commit are lost."""
    first, _ = scene.workers
    scene.begin()
    scene.servers.stall()
    first.refresh()
    scene.fail_over()
    scene.settle()

    assert scene.mints() == 2
    assert scene.verdict() == "current"


def test_s2_a_commit_that_is_lost_is_made_up_for_when_its_lease_ends(scene: Scene) -> None:
    first, _ = scene.workers
    scene.begin()
    under_way = scene.start(first)
    assert scene.servers.master.acknowledged(replicas=2) == 2
    scene.servers.stall()
    first.gate.open()
    under_way.result()
    scene.fail_over()
    scene.settle()

    assert scene.mints() <= 3
    assert scene.flights.most == 1
    assert scene.verdict() == "current"


def test_s3_who_took_a_lease_that_is_lost_does_no_harm_on_the_new_master(scene: Scene) -> None:
    """Nobody else takes one, and the holder commits after the failover."""
    first, _ = scene.workers
    old = scene.begin()
    scene.servers.stall()
    under_way = scene.start(first)
    scene.fail_over()
    first.gate.open()
    under_way.result()
    scene.settle()

    assert scene.mints() == 2
    assert (scene.verdict(), scene.verdict(old)) == ("current", "overlap")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["s4-first-ends-first", "s5-second-ends-first"])
def test_two_never_ask_at_once_after_a_lease_was_lost(scene: Scene, order: tuple[int, int]) -> None:
    """Both leases have the same fencing number."""
    old = scene.begin()
    scene.servers.stall()
    under_way = [scene.start(scene.workers[0])]
    scene.fail_over()
    under_way.append(scene.start(scene.workers[1]))
    for number in order:
        scene.workers[number].gate.open()
        under_way[number].result()
    scene.settle()

    assert scene.flights.most == 1
    assert scene.mints() == 2
    assert (scene.verdict(), scene.verdict(old)) == ("current", "overlap")


def test_s6_who_is_cut_off_with_the_old_master_fetches_nothing(scene: Scene) -> None:
    """Split brain: the one at the new master fetches, then the one at the old master would."""
    cut_off, other = scene.workers
    scene.begin()
    scene.servers.stall()
    old = scene.fail_over(other, demote=False)
    assert other.refresh() == "refreshed"
    cut_off.refresh()
    scene.servers.demote(old)
    scene.lead()
    scene.settle()

    assert scene.mints() == 2
    assert scene.verdict() == "current"


def test_s7_a_fetch_that_finds_no_master_waits_for_the_next_one(scene: Scene) -> None:
    """Somebody else asks meanwhile."""
    first, second = scene.workers
    scene.begin()
    under_way = scene.start(first)
    assert scene.servers.master.acknowledged(replicas=2) == 2
    scene.servers.master.kill()
    for worker in scene.workers:
        worker.vip.cut()
    first.gate.open()
    time.sleep(0.3)
    scene.fail_over(second, demote=False)
    assert second.refresh() == "busy"
    scene.lead(first)
    under_way.result()
    scene.settle()

    assert scene.mints() == 2
    assert scene.flights.most == 1
    assert scene.verdict() == "current"


def test_s7_a_fetch_that_finds_no_master_for_longer_than_its_lease_leaves_no_dead_token(scene: Scene) -> None:
    """It may be given up, and somebody else fetches; what was given up may still have come last."""
    first, second = scene.workers
    scene.begin()
    under_way = scene.start(first)
    assert scene.servers.master.acknowledged(replicas=2) == 2
    scene.servers.master.kill()
    for worker in scene.workers:
        worker.vip.cut()
    first.gate.open()
    scene.fail_over(second, demote=False)
    time.sleep(DURATIONS.lease)
    second.refresh()
    scene.lead(first)
    under_way.result()
    scene.settle()

    # One for the holder who seemed dead, and one since nobody knows whose came last: clocks of servers may differ.
    assert scene.mints() <= 4
    assert scene.flights.most == 1
    assert scene.verdict() == "current"


def test_s8_a_commit_whose_answer_is_lost_is_not_taken_for_a_lost_race(scene: Scene) -> None:
    first, _ = scene.workers
    old = scene.begin()
    with lost_answer(first, "commit"):
        assert first.refresh() == "refreshed"
    scene.settle()

    assert scene.mints() == 2
    assert (scene.verdict(), scene.verdict(old)) == ("current", "overlap")


def test_s8b_a_lease_whose_answer_is_lost_is_still_ours(scene: Scene) -> None:
    first, _ = scene.workers
    scene.begin()
    with lost_answer(first, "take_lease"):
        began = time.monotonic()
        assert first.refresh() == "refreshed"

    assert time.monotonic() - began < DURATIONS.lease / 2
    assert scene.mints() == 2


def test_s8c_a_fetch_is_counted_once_though_the_answer_to_that_is_lost(scene: Scene) -> None:
    first, _ = scene.workers
    scene.begin()
    with lost_answer(first, "begin"):
        assert first.refresh() == "refreshed"

    assert first.store.records.look(TARGET.id).fetches_today == 2
    assert scene.mints() == 2


def test_s9_a_dead_token_that_comes_back_is_found_when_a_replica_has_the_lease(scene: Scene) -> None:
    """It was reported, probed and replaced, and all of that but the lease is lost."""
    first, _ = scene.workers
    dead = scene.begin()
    scene.sandbox.revoke()
    under_way = scene.start(first, Demand(rejected=fingerprint(dead)))
    assert scene.servers.master.acknowledged(replicas=2) == 2
    scene.servers.stall()
    first.gate.open()
    under_way.result()
    scene.fail_over()
    assert scene.key() == dead
    scene.settle()

    assert scene.mints() <= 3
    assert scene.verdict() == "current"


def test_s9_a_dead_token_that_comes_back_is_found_when_redis_knows_of_nothing(scene: Scene) -> None:
    first, _ = scene.workers
    dead = scene.begin()
    scene.sandbox.revoke()
    first.failovers.look()
    scene.servers.stall()
    first.refresh(Demand(rejected=fingerprint(dead)))
    first.failovers.look()
    scene.fail_over()
    first.failovers.look()
    assert scene.key() == dead
    scene.settle()

    assert scene.mints() <= 3
    assert scene.verdict() == "current"


def test_a_token_in_doubt_waits_for_a_replica_as_a_stale_one_does(scene: Scene) -> None:
    """It works, as a probe says; a fetch that is lost would make the next one a third, which ends it at once."""
    first, second = scene.workers
    old = scene.begin()
    first.store.bulk.doubt([TARGET.id], replaced=True)
    assert second.refresh() == "fresh"
    time.sleep(DURATIONS.repeat_gap + 0.1)
    scene.servers.stall()
    first.refresh()

    assert scene.mints() == 1
    scene.servers.flow()
    scene.settle()
    assert scene.mints() == 2
    assert (scene.verdict(), scene.verdict(old)) == ("current", "overlap")


def test_what_is_about_to_end_is_fetched_though_no_replica_answers(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader must find a token that works, whatever a failover may take back; and it is said, once."""
    first, _ = scene.workers
    scene.begin()
    scene.servers.stall()
    assert [first.refresh() for _ in range(3)] == ["waiting"] * 3
    assert scene.mints() == 1
    end = scene.workers[0].store.records.look(TARGET.id)
    assert end.credential
    time.sleep(end.credential.expires_in(end.now) - DURATIONS.overlap / 2 + 0.05)
    assert first.refresh() == "refreshed"
    assert scene.verdict() == "current"
    assert caplog.text.count("no replica of Redis knows what is written there") == 1


def test_after_a_failover_the_newest_are_probed_first_and_what_is_due_does_not_wait(store: Store) -> None:
    targets = {it.id: it for it in (token_of(Account(f"wx{number}", Secret(DEMO_SECRET))) for number in range(3))}
    oldest, newest, due = targets
    for place, id_ in enumerate(targets):
        put(store, account=id_.account, fetched_at=1000.0 + place)
        store.schedule.set(id_, store.now() + 3600)
    put(store, account=due.account, fetched_at=1.0)
    store.schedule.set(due, 1.0)
    kept: Any = SimpleNamespace(targets=targets)
    failovers = Failovers(store, kept, lambda: Limits(rate=4))
    store.lineage.note("another server's")
    failovers.look()

    assert store.schedule.claim(3, 60) == [due, newest]
    time.sleep(0.6)
    assert store.schedule.claim(3, 60) == [oldest]
    assert all(store.records.look(id_).suspected_at for id_ in targets)
    failovers.look()
    assert store.schedule.claim(3, 60) == []
