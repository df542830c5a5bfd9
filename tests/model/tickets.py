"""A second kind in the model: a ticket, which is made from a token, comes again unchanged, and can't be probed.

One account with both, real Redis, WeChat as a pure model. What can happen to the token happens in one go; work on the
ticket can be stopped at each step, overtaken and killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import redis
from support.clock import ClockedServer

from model.clock import Clock
from model.record import DURATIONS, TOLERANCE
from model.upstream import FAULTS
from model.workers import END, Worker
from tokenworker.accounts.account import Account, Endpoint
from tokenworker.credential import JSAPI_TICKET, CredentialId, Issued
from tokenworker.credentials import targets
from tokenworker.credentials.kind import Kind
from tokenworker.errors import FetchError, TokenWorkerError
from tokenworker.refresh.causes import Demand
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.keeper import Keeper
from tokenworker.refresh.turns import Limits
from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Platform, Rules, WeChatError
from tokenworker.sandbox.call import Call as WeChatCall
from tokenworker.sandbox.issuers import KINDS
from tokenworker.secret import Secret
from tokenworker.store.scripts import Call, Command, Scripts
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store
from tokenworker.wechat import answers
from tokenworker.wechat.errcodes import TABLES

TICKET = CredentialId(DEMO_APPID, JSAPI_TICKET)
TOKEN = CredentialId(DEMO_APPID)
#: What the way to rest takes at most, in seconds: a ticket's life, and cooldowns.
_LONGEST = 3 * 7200


class BrokenPromiseError(AssertionError):
    """The product does not keep a promise about a ticket."""


class Steps(Scripts):
    """A worker's way to Redis; it can be stopped before each step of its work on the ticket."""

    def __init__(self, worker: Worker, client: redis.Redis) -> None:
        super().__init__(client)
        self._worker = worker

    def together(self, *steps: Call | Command) -> list[Any]:
        called = steps[0]
        if isinstance(called, Call) and JSAPI_TICKET in called.keys[0]:
            self._worker.reaches(called.script)
        return super().together(*steps)


class Source:
    """WeChat by the requests that the kinds make, whatever kinds there are."""

    def __init__(self, platform: Platform, worker: Worker, faults: list[str], made: list[str]) -> None:
        self._platform = platform
        self._worker = worker
        self._faults = faults
        self._made = made
        self._endpoints = {endpoint.path: endpoint() for endpoint in KINDS.values()}

    def fetch(self, kind: Kind, account: Account, inputs: Mapping[str, Secret], *, force: bool = False) -> Issued:
        request = kind.fetch(account, inputs, force)
        fault = FAULTS[self._faults.pop(0)] if self._faults and kind.needs else None
        self._made.append(kind.name)
        if fault and not fault.acts:
            raise fault.error()
        given = {name: _revealed(value) for name, value in {**(request.params or {}), **(request.json or {})}.items()}
        call = WeChatCall(request.path, request.method, "127.0.0.1", given, given)
        try:
            found = self._endpoints[request.path].answer(self._platform, call)
        except WeChatError as error:
            found = {"errcode": error.errcode, "errmsg": error.errmsg}
        if kind.needs:
            self._worker.reaches("answer")
        if fault:
            raise fault.error()
        if found.get("errcode"):
            raise answers.error(found, TABLES[kind.platform], kind.hints, account.secret)
        return answers.issued({**found, request.field: Secret(found[request.field])}, request.field)

    def is_alive(self, _: Kind, value: Secret) -> bool:
        return self._platform.verdict(value.reveal()).works


def _revealed(value: object) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


class TicketWorld:
    """What can happen to a ticket; each method raises `BrokenPromiseError` when a promise is not kept."""

    def __init__(self, server: ClockedServer, endpoint: Endpoint = "stable_token", **rules: Any) -> None:
        self._client = server.client()
        self._client.flushall()
        self._clock = Clock(server)
        self._platform = Platform(Rules(**rules), self._clock.now)
        self._platform.add_account(DEMO_APPID, DEMO_SECRET)
        account = Account(DEMO_APPID, Secret(DEMO_SECRET), endpoint=endpoint, keep=(TOKEN.name, TICKET.name))
        self._token, self._ticket = targets(account)[TOKEN.name], targets(account)[TICKET.name]
        self._store = Store(self._client)
        self.faults: list[str] = []
        #: The names of all that was fetched, and how many fetches of the ticket had a cause.
        self._made: list[str] = []
        self._causes = 1
        self._seen: set[tuple[float, float]] = set()
        #: Workers whose lease ended before their work, as far as that gives cause for a fetch.
        self._overtaken: set[int] = set()
        self.workers = [Worker() for _ in range(2)]
        self._keepers = [self._keeper(worker) for worker in self.workers]

    def _keeper(self, worker: Worker) -> Keeper:
        store = Store(self._client, scripts=Steps(worker, self._client))
        source = Source(self._platform, worker, self.faults, self._made)
        return Keeper(store, Fetcher(store, source, DURATIONS, limits=lambda: Limits(patience=0)), DURATIONS)

    def close(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            if worker.busy:
                worker.die()
        self._client.close()

    # What can happen

    def refresh(self, number: int, demand: Demand | None = None, stop_at: str = END) -> None:
        """Have an idle worker handle a message about the ticket, up to a stop."""
        demand = demand or Demand()
        self._causes += demand.early
        self._overtaken.discard(number)
        self.workers[number].start(lambda: self._handle(self._keepers[number], demand), stop_at)

    def _handle(self, keeper: Keeper, demand: Demand) -> None:
        with suppress(TokenWorkerError):
            keeper.refresh(self._ticket, demand)

    def go_on(self, number: int) -> None:
        """Let a stopped worker go on."""
        self.workers[number].go_on()

    def die(self, number: int) -> None:
        """Kill a stopped worker; whoever comes next does not know how its fetch ended."""
        self.workers[number].die()
        self._causes += 1

    def tick(self) -> None:
        """Look for what is due, and handle it at once, if somebody has time."""
        self._store.schedule.add([TOKEN, TICKET])
        due = {*self._store.schedule.claim(8, DURATIONS.grace), *self._store.bulk.missing([TOKEN, TICKET])}
        if TOKEN in due:
            self.refresh_token()
        idle = [number for number, worker in enumerate(self.workers) if not worker.busy]
        if TICKET in due and idle:
            self.refresh(idle[0])

    def refresh_token(self, demand: Demand | None = None) -> None:
        """Refresh the token, which must not matter to the ticket."""
        with suppress(FetchError):
            Keeper(self._store, self._fetcher(), DURATIONS).refresh(self._token, demand)

    def _fetcher(self) -> Fetcher:
        source = Source(self._platform, Worker(), [], self._made)
        return Fetcher(self._store, source, DURATIONS, limits=lambda: Limits(patience=0))

    def revoke_token(self) -> None:
        """End the token at WeChat: the next fetch of the ticket is refused, and made once more with another token."""
        self._platform.revoke(DEMO_APPID)
        self._causes += 1

    def report(self) -> None:
        """Report the ticket that there is."""
        live = self.look().credential
        if live and self._store.records.reject(TICKET, live.fingerprint):
            self._causes += 1

    def fail(self, name: str) -> None:
        """Have the next fetch of the ticket go wrong."""
        self.faults.append(name)
        self._causes += 1

    def lose(self, id_: CredentialId) -> None:
        """Delete the value of one of them."""
        self._causes += self._client.delete(self._store.keys.value(id_)) and id_ == TICKET
        self._causes += id_ == TOKEN

    def pass_time(self, seconds: float) -> None:
        """Let time pass; who is stopped may lose his lease: another one fetches, and his own commit is refused."""
        self.look()
        overtaken = {number for number, worker in enumerate(self.workers) if worker.busy} - self._overtaken
        self._causes += 2 * len(overtaken)
        self._overtaken |= overtaken
        self._clock.pass_by(seconds)
        self._client.scan(count=1000)
        self.look()

    def alter(self, **rules: Any) -> None:
        """Have the product go by other rules for tickets than WeChat does."""
        self._ticket = replace(self._ticket, kind=replace(self._ticket.kind, **rules))

    def refresh_and_check(self, demand: Demand) -> None:
        """Handle a message to its end, and compare."""
        self.refresh(0, demand)
        self.check()

    # What must hold

    def look(self) -> Snapshot:
        """Look at the ticket, and note what gives cause for a fetch."""
        found = self._store.records.look(TICKET)
        if found.now >= found.refresh_at - TOLERANCE > 0 and (found.fetched_at, found.refresh_at) not in self._seen:
            self._seen.add((found.fetched_at, found.refresh_at))
            self._causes += 1
        return found

    def check(self) -> None:
        """Compare what Redis says with the truth."""
        found = self.look()
        fetches = self._made.count(TICKET.name)
        if fetches > self._causes:
            raise BrokenPromiseError(f"{fetches} fetches for {self._causes} causes")
        if found.credential is None:
            return
        left = self._platform.verdict(found.credential.value).seconds_left
        if found.credential.expires_in(found.now) > left + TOLERANCE:
            raise BrokenPromiseError(f"{found.credential.expires_in(found.now):.1f} s in Redis, {left:.1f} s at WeChat")

    def come_to_rest(self) -> None:
        """Let WeChat answer and all that runs end, until nothing is due: then there is a ticket, and it is accepted."""
        self.faults.clear()
        for worker in self.workers:
            while worker.busy:
                worker.go_on()
        end = self._clock.now() + _LONGEST
        while not self._is_at_rest():
            if self._clock.now() > end:
                raise BrokenPromiseError("it does not come to rest")
            self.tick()
            self.check()
            if not self._is_at_rest():
                self.pass_time(max(DURATIONS.tick, self._next_look()) + 0.03)
        self.check()

    def _is_at_rest(self) -> bool:
        found = self.look()
        return found.credential is not None and found.now < found.refresh_at and not found.rejected

    def _next_look(self) -> float:
        score = self._client.zscore("tokenworker:due", str(TICKET))
        return min(float(score or 0.0) - self._store.now(), DURATIONS.operator_cap)
