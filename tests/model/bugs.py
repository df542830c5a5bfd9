"""Faults that a keeper of tokens may have, put into this one to see whether the model finds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from model import stories
from model.commits import SteppedCommits
from model.process import Bug
from model.record import DURATIONS, Promise
from model.stories import Story
from tokenworker.credential import CredentialId, Issued
from tokenworker.credentials.target import Target
from tokenworker.refresh.attempt import Attempt, Busy, Inputs, Result
from tokenworker.refresh.causes import Cause, Demand
from tokenworker.refresh.commits import Pending
from tokenworker.refresh.decide import Fetch
from tokenworker.refresh.events import Asked
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.refresh.prober import Prober
from tokenworker.store.records import Begin, Records
from tokenworker.store.scripts import Command
from tokenworker.store.state import Facts, Lease, Snapshot
from tokenworker.worker.failovers import Failovers


class Trusting(Records):
    """Believes that a fetch without an answer did not happen."""

    def begin(self, lease: Lease, *, stray: float = 0, **budgets: Any) -> Begin:
        return super().begin(lease, stray=0, **budgets)

    def fail(self, lease: Lease, *, retry_at: float, lost: bool = False, **rest: Any) -> None:
        super().fail(lease, retry_at=retry_at, lost=False, **rest)


class Confident(Records):
    """Takes each token that it sees for one that was probed just now."""

    def look(self, id_: CredentialId) -> Snapshot:
        return _probed(super().look(id_))

    def lease(self, id_: CredentialId, seconds: float) -> tuple[Lease, Snapshot] | None:
        taken = super().lease(id_, seconds)
        return (taken[0], _probed(taken[1])) if taken else None


def _probed(found: Snapshot) -> Snapshot:
    return replace(found, probed=found.fingerprint, probed_at=found.now)


class Despairing(Records):
    """Takes a token for lost when no other can be had."""

    def fail(self, lease: Lease, *, retry_at: float, lost: bool = False, **rest: Any) -> None:
        self._scripts.answers(Command(("DEL", self._keys.value(lease.id))))
        super().fail(lease, retry_at=retry_at, lost=lost, **rest)


class Impatient(Records):
    """Believes that WeChat forgets a fetch when we give it up."""

    def begin(self, lease: Lease, *, stray: float = 0, **budgets: Any) -> Begin:
        return super().begin(lease, stray=0, **budgets)


class Forgetful(Records):
    """Takes each lease as if the one before had ended well, and nothing were to come of it."""

    def lease(self, id_: CredentialId, seconds: float) -> tuple[Lease, Snapshot] | None:
        taken = super().lease(id_, seconds)
        if taken is None:
            return None
        resolved = {"resolved": taken[0].fencing - 1, "in_doubt_until": 0}
        words = [word for pair in resolved.items() for word in pair]
        self._scripts.answers(Command(("HSET", self._keys.state(id_), *words)))
        return taken[0], replace(taken[1], **cast("dict[str, Any]", resolved))


class Careless(Records):
    """Does not look at an account again when its lease ends."""

    def begin(self, lease: Lease, **arguments: Any) -> Begin:
        return super().begin(replace(lease, until=lease.taken_at + 1e9), **arguments)


class Credulous(Records):
    """Believes that the replicas know of each lease."""

    def lease(self, id_: CredentialId, seconds: float) -> tuple[Lease, Snapshot] | None:
        taken = super().lease(id_, seconds)
        return (replace(taken[0], replicated=True), taken[1]) if taken else None


class Yielding(SteppedCommits):
    """Gives a commit up that Redis does not take, or no replica."""

    def _keep(self, pending: Pending) -> None:
        pass


class Unseeing(Failovers):
    """Does not look whether another server took over."""

    def look(self) -> None:
        pass


class Relieved(Prober):
    """Takes a token for the last one that WeChat issued, since it still works after a failover."""

    def _judge(self, attempt: Attempt, cause: Cause, facts: Facts, *, alive: bool) -> None:
        if alive:
            facts["suspected_at"] = 0.0
        super()._judge(attempt, cause, facts, alive=alive)


class Blind(Fetcher):
    """Fetches for each report, without a probe of the token."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._prober.probe = self._fetch_instead  # type: ignore[assignment,method-assign]  # it does more

    def _fetch_instead(self, attempt: Attempt, cause: Cause) -> Result:
        return self._fetch(attempt, Fetch(cause), frozenset())


class Hasty(Fetcher):
    """Does not look again after it took the lease."""

    def act(self, target: Target, demand: Demand, inputs: Inputs, believed: frozenset[str] = frozenset()) -> Result:
        before = self._records.look(target.id)
        taken = self._records.lease(target.id, self._durations.lease)
        if taken is None:
            return Busy()
        return self._fetch(Attempt(taken[0], target, before, inputs), Fetch(Cause.STALE), believed)


class Optimist(Fetcher):
    """Counts the life of a token from the answer on."""

    def _accept(self, attempt: Attempt, asked: Asked, issued: Issued) -> Result:
        lease = replace(attempt.lease, taken_at=self._store.now())
        return super()._accept(replace(attempt, lease=lease), asked, issued)


@dataclass(frozen=True)
class Seed:
    """A fault, the story that shows it, and the promise that it breaks there."""

    bug: Bug
    story: Story
    breaks: Promise
    #: How many replicas must know of a lease.
    replicas: int = 0


def _lua(old: str, new: str = "") -> Bug:
    return Bug(lua=(old, new))


BUGS = {
    "there is no lease": Seed(
        _lua("holder ~= owner then\n  return nil", "holder ~= owner then"),
        stories.two_are_at_it_at_the_same_moment,
        Promise.ONE_FETCH,
    ),
    "a lease that a clock lengthened is waited for": Seed(
        _lua("and left <= length + 1000"), stories.clock_set_back_under_a_lease, Promise.REST
    ),
    "anybody settles a lease": Seed(
        _lua("if redis.call('GET', lease) ~= owner", "if false"),
        stories.tested_while_somebody_else_is_at_it,
        Promise.ONE_HOLDER,
    ),
    "anybody's failure ends a lease": Seed(
        _lua("if redis.call('GET', lease) ~= owner", "if false"),
        stories.failed_while_somebody_else_is_at_it,
        Promise.ONE_HOLDER,
    ),
    "there is no fence": Seed(
        _lua("if (holder and holder ~= owner) or not is_last", "if false"),
        stories.frozen_before_sending_and_overtaken_twice,
        Promise.ONE_HOLDER,
    ),
    "a refused commit is not healed": Seed(
        _lua("redis.call('HSET', KEYS[2], 'in_doubt', state[1] or 0, 'in_doubt_since', now)"),
        stories.frozen_before_sending,
        Promise.HONEST,
    ),
    "any commit heals": Seed(
        _lua("if (tonumber(state[2] or -1) or -1) < fencing", "if true"),
        stories.frozen_before_sending_and_overtaken_twice,
        Promise.HONEST,
    ),
    "the fetch of a dead holder is forgotten": Seed(
        Bug(records=Forgetful), stories.killed_before_the_answer, Promise.HONEST
    ),
    "a dead holder is not looked for": Seed(Bug(records=Careless), stories.killed_before_the_answer, Promise.REST),
    "a lost answer is a plain failure": Seed(Bug(records=Trusting), stories.answer_lost, Promise.HONEST),
    "after a lost answer the next fetch follows at once": Seed(
        Bug(durations=replace(DURATIONS, overlap=0.0)), stories.answers_lost_in_a_row, Promise.SPARED
    ),
    "a token in doubt is not tested": Seed(Bug(records=Confident), stories.answer_lost, Promise.TESTED),
    "a token found dead stays where it is": Seed(
        _lua("redis.call('GET', KEYS[1]) == value", "false"),
        stories.found_dead_while_nothing_can_be_fetched,
        Promise.WITHHELD,
    ),
    "a fencing number that comes again is believed": Seed(
        _lua("state[5] == owner or", "tonumber(state[1] or 0) == fencing or"),
        stories.redis_goes_back_and_a_fencing_number_comes_again,
        Promise.HONEST,
    ),
    "what Redis lost is fetched again at once": Seed(
        _lua("if replaced then\n  local time", "if false then\n  local time"),
        stories.redis_goes_back_within_the_overlap,
        Promise.SPARED,
    ),
    "an account that was taken out is forgotten at once": Seed(
        _lua("'removed', 1)", "'remembered', 1)"), stories.taken_out_before_a_fetch, Promise.GONE
    ),
    "a key of a wrong type stays": Seed(
        _lua("type ~= 'none' and type ~= ARGV[index]", "false"), stories.others_write_under_our_keys, Promise.REST
    ),
    "WeChat never acts late": Seed(Bug(records=Impatient), stories.acted_upon_late, Promise.HONEST),
    "a failure deletes the token": Seed(Bug(records=Despairing), stories.refused_by_wechat, Promise.KEPT),
    "nobody looks again with the lease in hand": Seed(
        Bug(fetcher=Hasty), stories.two_find_the_same_token_stale, Promise.ONE_FETCH
    ),
    "reports are believed": Seed(Bug(fetcher=Blind), stories.reported_wrongly_again_and_again, Promise.ONE_FETCH),
    "every report is tested": Seed(
        Bug(durations=replace(DURATIONS, report_interval=0.0)),
        stories.reported_wrongly_again_and_again,
        Promise.ONE_TEST,
    ),
    "a report during a fetch is forgotten": Seed(
        _lua("if not is_reported() then", "if true then"),
        stories.reported_while_the_same_token_is_fetched,
        Promise.REPORTED,
    ),
    "the life of a token counts from the answer": Seed(Bug(fetcher=Optimist), stories.answered_slowly, Promise.HONEST),
    "the ledger does not count": Seed(
        _lua("'fetches_today', fetches + 1,", "'fetches_today', fetches,"), stories.answer_lost, Promise.LEDGER
    ),
    "a turn that a clock put off is waited for": Seed(
        _lua("or next_turn > now + burst + patience + 1000"), stories.clock_set_back_right_after_a_fetch, Promise.REST
    ),
    "a lease that is asked for again is somebody else's": Seed(
        _lua("and left <= length + 1000 and holder ~= owner", "and left <= length + 1000"),
        stories.reply_to_a_lease_lost,
        Promise.REPEATED,
    ),
    "a lease that is asked for again is another one": Seed(
        _lua("if holder ~= owner then\n  fencing", "if true then\n  fencing"),
        stories.reply_to_a_lease_lost,
        Promise.REPEATED,
    ),
    "a fetch that is begun again counts twice": Seed(
        _lua("if redis.call('HGET', KEYS[1], 'begun') == owner", "if false"),
        stories.reply_to_a_beginning_lost,
        Promise.LEDGER,
    ),
    "a commit that is repeated is refused": Seed(
        _lua("if state[3] == owner then", "if state[3] == owner then\n  return { 'refused', '' }\nelseif false then"),
        stories.reply_to_a_commit_lost,
        Promise.TAKEN,
    ),
    "nobody waits for the replicas": Seed(
        Bug(records=Credulous), stories.replica_lags_when_the_token_is_stale, Promise.AWARE, replicas=1
    ),
    "nobody waits for the replicas when somebody demands a fetch": Seed(
        Bug(records=Credulous), stories.replica_lags_and_somebody_wants_a_fetch, Promise.AWARE, replicas=1
    ),
    "a commit is given up without a master": Seed(
        Bug(commits=Yielding), stories.no_master_for_a_commit, Promise.TAKEN, replicas=1
    ),
    "a commit is given up that no replica has": Seed(
        Bug(commits=Yielding), stories.commit_lost_but_not_its_holder, Promise.TAKEN, replicas=1
    ),
    "a commit is refused whose lease was lost": Seed(
        _lua("tonumber(state[1]) == fencing - 1", "false"), stories.lease_lost_under_a_fetch, Promise.TAKEN, replicas=1
    ),
    "another lease with the number before is taken for the one before": Seed(
        _lua("and (state[5] or '') == after"),
        stories.lease_number_comes_again_in_a_failover,
        Promise.HONEST,
        replicas=1,
    ),
    "any commit ends a suspicion": Seed(
        _lua("if not is_suspected()", "if true"),
        stories.answered_after_a_fetch_that_was_lost,
        Promise.HONEST,
        replicas=1,
    ),
    "failovers are not looked for": Seed(
        Bug(failovers=Unseeing), stories.dead_token_comes_back, Promise.HONEST, replicas=1
    ),
    "the first probe ends a suspicion": Seed(
        Bug(prober=Relieved), stories.replaced_token_comes_back, Promise.HONEST, replicas=1
    ),
    "a reader does not look": Seed(Bug(reader_copy=3600.0), stories.replaced_and_read_again, Promise.READ),
}
