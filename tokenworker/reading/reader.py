"""How a reader gets a token: what to ask, and what to make of the answers; never how to wait."""

from __future__ import annotations

from collections.abc import Callable

from tokenworker.credential import Credential
from tokenworker.durations import Durations
from tokenworker.errors import StoreUnavailable, TokenUnavailable
from tokenworker.reading.answers import Found, State, unavailable
from tokenworker.reading.copies import Copies
from tokenworker.reading.dialogue import Dialogue
from tokenworker.reading.steps import Pause, SendTask, Steps
from tokenworker.reading.turns import Turns
from tokenworker.store.keys import Keys

#: Who waits for another thread's answer looks so often.
_TURN = 0.005
#: Who waits for a token that is on its way looks so often, and ever more rarely.
_FIRST_LOOK = 0.01
_LAST_LOOK = 0.2


class Reading:
    """The steps of a reader and what it remembers; safe to share between threads and tasks, and across a fork."""

    def __init__(
        self, keys: Keys, durations: Durations, clock: Callable[[], float], timeout: float, *, has_task: bool
    ) -> None:
        self._durations = durations
        self._clock = clock
        self._timeout = timeout
        self._has_task = has_task
        self._copies = Copies(durations, clock)
        self._redis = Dialogue(keys, self._copies, clock)
        # Connecting and answering may take `timeout` each.
        self._turns = Turns(clock, 2 * timeout)
        self._errands = Turns(clock, durations.reader_patience)
        self.fresh = self._copies.fresh

    # Getting

    def get(self, appid: str) -> Steps[Credential]:
        """Get a token that is in no fresh copy; raises `TokenUnavailable`."""
        try:
            token = yield from self._in_turn(appid)
            return token or (yield from self._awaited(appid))
        except StoreUnavailable as error:
            reason = str(error)
        token = self._copies.lasting(appid)
        if token is None:
            raise TokenUnavailable(reason, appid)
        return token

    def _in_turn(self, appid: str) -> Steps[Credential | None]:
        """Ask Redis when it is our turn; meanwhile a recent copy will do, or what another thread finds."""
        waited = 0.0
        while waited <= self._timeout:
            # While Redis does not answer, one thread tries for all accounts.
            with self._turns.take("" if self._copies.in_doubt else appid) as ours:
                if ours:
                    return self._copies.fresh(appid) or (yield from self._ask(appid))
            token = self._copies.fresh(appid) or self._copies.recent(appid)
            if token:
                return token
            yield Pause(_TURN)
            waited += _TURN
        raise StoreUnavailable(f"no answer within {self._timeout} s")

    def _ask(self, appid: str) -> Steps[Credential | None]:
        """Read the token; None when there is none that may be used."""
        token = yield from self._redis.confirm(appid)
        if token:
            return token
        found, state = yield from self._redis.look(appid)
        newer = self._copies.newer(appid, state.version)
        if newer:
            yield from self._redis.doubt(appid)
            return newer
        return self._keep(appid, found, state, self._copies.rejection(appid)[0]) or self._copies.recent(appid)

    def _keep(self, appid: str, found: Found, state: State, rejected: str | None) -> Credential | None:
        """Keep what we found and return it, if it may be used."""
        self._copies.bury(appid, state.fields.get("probed_dead"))
        if not found.token or not self._is_good(appid, found, state, rejected):
            return None
        version, doubt = state.version, state.in_doubt
        return self._copies.keep(appid, found.token, found.left, found.asked_at, version, in_doubt=doubt)

    # Waiting for a token that is on its way

    def _awaited(self, appid: str) -> Steps[Credential]:
        """Wait for a token: after a report, or when there is a task to send; otherwise say why there is none."""
        rejected, deadline = self._copies.rejection(appid)
        sends = self._has_task and (rejected or not self._copies.in_vain(appid))
        if sends:
            deadline = max(deadline, self._clock() + self._durations.reader_patience)
        # Of many threads that wait for the same, one sends the task.
        with self._errands.take(f"{appid} {rejected}") as ours:
            if sends and ours:
                problem: str = yield SendTask(appid, rejected)
                if problem:
                    raise TokenUnavailable(problem, appid)
            return (yield from self._watch(appid, rejected, deadline))

    def _watch(self, appid: str, rejected: str | None, deadline: float) -> Steps[Credential]:
        """Look for a token until the deadline, or until there can't be one before."""
        pause, extended = _FIRST_LOOK, False
        while True:
            found, state = yield from self._redis.look(appid)
            token = self._keep(appid, found, state, rejected)
            if token:
                return token
            if not extended:
                soon = state.replaced_within(found.now, self._durations.reader_patience)
                deadline, extended = max(deadline, self._clock() + soon), True
            left = deadline - self._clock()
            if left <= 0 or state.rests_for(found.now) > left:
                self._copies.note_in_vain(appid)
                raise unavailable(appid, found, state)
            yield Pause(min(pause, left))
            pause = min(_LAST_LOOK, 1.5 * pause)

    def _is_good(self, appid: str, found: Found, state: State, rejected: str | None) -> bool:
        """Say whether the token may be used: WeChat did not refuse it, or the worker tested it and knows better."""
        if found.token is None or found.token.fingerprint == state.fields.get("probed_dead"):
            return False
        if found.token.fingerprint != rejected:
            return True
        good = state.vouches_for(rejected, found.now, self._durations.report_interval)
        if good:
            self._copies.absolve(appid)
        return good

    # Reporting

    def reject(self, appid: str, name: str) -> Steps[None]:
        """Report that WeChat refused the token with this fingerprint; raises `StoreUnavailable`."""
        self._copies.reject(appid, name)
        problem = ""
        try:
            yield from self._redis.report(appid, name)
        except StoreUnavailable as error:
            problem = (yield SendTask(appid, name)) if self._has_task else error.reason
        # Once more: a read that was under way may have brought it back.
        self._copies.reject(appid, name)
        if problem:
            raise StoreUnavailable(problem)
