"""TokenReader: how a Python service reads credentials. It never fetches, and needs no AppSecret and no Celery."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId, public_id
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable
from tokenworker.reading.arguments import identify, redis_place, rejected_name, ticket_name
from tokenworker.reading.cache import Cache, Rejection
from tokenworker.reading.link import Link
from tokenworker.reading.questions import Answer, Questions, unavailable
from tokenworker.reading.tasks import Tasks
from tokenworker.store.keys import Keys

#: Poll interval while another credential is on its way, in seconds: it grows from the first to the longest.
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.2


class TokenReader:
    """Reads credentials from Redis and keeps the last good one of each.

    Asked again within a second it answers from its cache; while Redis is away it goes on with what is cached, until
    30 s before that expires. Share one between threads, and across forks. `timeout` bounds each exchange
    with Redis, in seconds. With `celery`, an app or a broker's URL, it sends a task for a credential that is
    missing, or was refused, and waits some seconds for it.
    """

    def __init__(
        self,
        redis_url: str,
        prefix: str = "tokenworker",
        durations: Durations | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        timeout: float = 0.4,
        celery: Any = None,
    ) -> None:
        self._durations = durations or Durations()
        self._clock = clock
        self._timeout = timeout
        self._link = Link(redis_place(redis_url), timeout, self._durations.reader_copy, clock)
        self._questions = Questions(self._link, Keys(prefix), clock)
        self._tasks = Tasks(celery) if celery else None
        #: Locks by process, so that no child waits for a lock that a thread of its parent holds.
        self._locks: dict[tuple[int, str, CredentialId | None], threading.Lock] = {}
        #: What this process remembers.
        self.cache = Cache(self._durations, clock)

    def get_token(self, appid: str) -> Credential:
        """Return an access token that works; raises `TokenUnavailable` with the reason when there is none.

        After `reject` it waits some seconds for another one, or for the worker's word that the old one works.
        """
        return self.get_credential(appid)

    def get_ticket(self, account: str, type: str = "jsapi") -> Credential:  # noqa: A002  WeChat's word
        """Return a ticket that works, of type `jsapi`, `wx_card` or `agent`, as `get_token`."""
        return self.get_credential(account, ticket_name(type))

    def get_credential(self, account: str, name: str = ACCESS_TOKEN) -> Credential:
        """Return a credential that works, as `get_token`; `name` is the last part of its Redis key."""
        id_ = identify(account, name)
        return self.cache.fresh(id_) or self._read(id_)

    def sign_url(self, account: str, url: str, *, ticket: str = "jsapi") -> dict[str, Any]:
        """Return what a page at `url` gives to `wx.config`, by its names there; raises `TokenUnavailable`."""
        return signature(account, url, self.get_ticket(account, ticket))

    def reject(self, account: str, value: str, name: str = ACCESS_TOKEN) -> None:
        """Report that WeChat refused a value; an access token, say, with 40001, 40014 or 42001.

        A new one is on its way, if it was ours. Raises `StoreUnavailable`.
        """
        rejected = rejected_name(value)
        del value  # error trackers show the variables of frames
        self.report(identify(account, name), rejected)

    def report(self, id_: CredentialId, rejected: str) -> None:
        """Report the value with this fingerprint, as `reject`."""
        self.cache.reject(id_, rejected)
        problem = ""
        try:
            self._questions.report(id_, rejected)
        except StoreUnavailable as error:
            failure = self._tasks.send(id_, rejected) if self._tasks else error.reason
            problem = failure and _both(error.reason, failure)
        # Forget it once more: a read that was under way may have brought it back.
        self.cache.bury(id_, rejected)
        if problem:
            raise StoreUnavailable(problem)

    def close(self) -> None:
        """Close the connections to Redis."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Asking Redis

    def _read(self, id_: CredentialId) -> Credential:
        try:
            return self._ask_in_turn(id_) or self._await(id_)
        except StoreUnavailable as error:
            reason = error.reason
        credential = self.cache.stale_if_error(id_)
        if credential is None:
            raise unavailable(id_, reason)
        return credential

    def _ask_in_turn(self, id_: CredentialId) -> Credential | None:
        """Ask Redis; while another thread does, the cached one will do within the overlap, or what that one finds."""
        had = self.cache.within_overlap(id_)
        # While Redis does not answer, one thread tries for all credentials.
        with self._turn("ask", None if self._link.is_broken else id_, 0 if had else self._timeout) as ours:
            # If we had none, another thread may have read one just now.
            found = self.cache.fresh(id_) or (None if had and ours else self.cache.within_overlap(id_))
            if found or ours:
                return found or self._ask(id_)
        raise StoreUnavailable(f"no answer within {self._timeout} s")

    def _ask(self, id_: CredentialId) -> Credential | None:
        """Return what Redis has; None when it may not be used."""
        asked_at = self._clock()
        value, left, in_doubt = self._questions.glance(id_)
        known = self.cache.confirm(id_, value, left, asked_at, in_doubt=in_doubt)
        if known:
            return known
        answer = self._questions.look(id_)
        newer = self.cache.newer(id_, answer.version)
        if newer:
            self._questions.doubt(id_)
            return newer
        return self._keep(answer, self.cache.rejection(id_)) or self.cache.within_overlap(id_)

    def _keep(self, answer: Answer, rejection: Rejection | None) -> Credential | None:
        """Keep what Redis has and return it, if it may be used."""
        self.cache.bury(answer.id, answer.text("probed_dead"))
        found = answer.credential
        if found is None or not self._is_good(answer, found.fingerprint, rejection):
            return None
        sure = answer.sure_for(self._durations.overlap)
        lasting, unsure = Credential(found.value, answer.now + sure), answer.left - sure
        return self.cache.keep(
            answer.id, lasting, answer.left, answer.asked_at, answer.version, unsure=unsure, in_doubt=answer.in_doubt
        )

    def _is_good(self, answer: Answer, name: str, rejection: Rejection | None) -> bool:
        """Return whether WeChat did not refuse it, or a worker knows better."""
        if name == answer.text("probed_dead"):
            return False
        if rejection is None or name != rejection.fingerprint:
            return True
        good = answer.probed_alive(self._durations.report_interval)
        if good:
            self.cache.clear_rejection(answer.id)
        return good

    # Waiting for one that is on its way

    def _await(self, id_: CredentialId) -> Credential:
        """Wait for one: after a report, or when there is a task to send. Otherwise raise why there is none."""
        rejection = self.cache.rejection(id_)
        deadline = rejection.until if rejection else self._clock()
        if self._tasks is None or (rejection is None and self.cache.in_vain(id_)):
            return self._watch(id_, rejection, deadline)
        deadline = max(deadline, self._clock() + self._durations.reader_patience)
        # One thread sends the task, for all that wait for the same credential.
        with self._turn("send", id_) as ours:
            problem = ours and self._tasks.send(id_, rejection.fingerprint if rejection else None)
            if problem:
                raise unavailable(id_, problem)
            return self._watch(id_, rejection, deadline)

    def _watch(self, id_: CredentialId, rejection: Rejection | None, deadline: float) -> Credential:
        """Look for one until the deadline, or until there can't be one before."""
        pause, extended = _FIRST_PAUSE, False
        while True:
            answer = self._questions.look(id_)
            found = self._keep(answer, rejection)
            if found:
                return found
            if not extended:
                soon = answer.replaced_within(self._durations.reader_patience)
                deadline, extended = max(deadline, self._clock() + soon), True
            left = deadline - self._clock()
            if left <= 0 or answer.cooldown() > left:
                self.cache.note_in_vain(id_)
                raise answer.unavailable()
            self._pause(min(pause, left))
            pause = min(_LONGEST_PAUSE, 1.5 * pause)

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)

    @contextmanager
    def _turn(self, what: str, id_: CredentialId | None, wait: float = 0) -> Iterator[bool]:
        """Take the lock for `what`, within `wait` seconds, while the block lasts; yields whether it is ours."""
        key = os.getpid(), what, id_
        lock = self._locks.setdefault(key, threading.Lock())
        ours = lock.acquire(timeout=wait)
        try:
            yield ours
        finally:
            if ours:
                # So that no lock stays for an account that anybody asked for; a later one finds the cache fresh.
                self._locks.pop(key, None)
                lock.release()


def _both(reason: str, failure: str) -> str:
    """Return why Redis took no report, and why the broker took no task; where it is the same advice, it stands once."""
    advice = reason.partition(" (")[0]
    same = reason == failure or (advice.startswith("Redis refuses: ") and advice in failure)
    return reason if same else f"{reason}; and {failure}"


def signature(account: str, url: str, ticket: Credential) -> dict[str, Any]:
    """Return the signature of a page's URL with its `appId`, which for WeCom's `CORPID/AGENT` is the corpid."""
    # Imported only when it is needed: most readers sign nothing.
    from tokenworker.signing import page_of, sign_url  # noqa: PLC0415

    page = page_of(url)
    return {"appId": public_id(account), **sign_url(ticket.ticket, page)}
