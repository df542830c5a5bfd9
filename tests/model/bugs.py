"""Faults that a keeper of tokens may have, put into this one to see whether the model finds them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from support.targets import lease_of, look

from model import stories
from model.process import Bug, SteppingStore
from model.record import DURATIONS, Promise
from model.stories import Story
from tokenworker.accounts.account import Account
from tokenworker.credential import Issued
from tokenworker.refresh.causes import Cause, Demand
from tokenworker.refresh.decide import Fetch, Probe
from tokenworker.refresh.fetcher import Fetcher
from tokenworker.store.records import Begin, Commit
from tokenworker.store.state import Lease, Snapshot


class Trusting(SteppingStore):
    """Believes that a fetch without an answer did not happen."""

    def begin(self, lease: Lease, *, stray: float = 0, **budgets: Any) -> Begin:
        return super().begin(lease, stray=0, **budgets)

    def fail(self, lease: Lease, *, retry_at: float, lost: bool = False, **facts: object) -> None:
        super().fail(lease, retry_at=retry_at, lost=False, **facts)


class Confident(SteppingStore):
    """Takes each token that it sees for one that was tested just now."""

    def look(self, appid: str) -> Snapshot:
        found = super().look(appid)
        return replace(found, probed=found.fingerprint, probed_at=found.now)


class Despairing(SteppingStore):
    """Takes a token for lost when no other can be had."""

    def fail(self, lease: Lease, *, retry_at: float, lost: bool = False, **facts: object) -> None:
        self._redis.delete(self.token_key(lease.appid))
        super().fail(lease, retry_at=retry_at, lost=lost, **facts)


class Impatient(SteppingStore):
    """Believes that WeChat forgets a fetch when we give it up."""

    def begin(self, lease: Lease, *, stray: float = 0, **budgets: Any) -> Begin:
        return super().begin(lease, stray=0, **budgets)


class Forgetful(SteppingStore):
    """Takes each lease as if the one before had ended well, and nothing were to come of it."""

    def take_lease(self, appid: str, seconds: float) -> Lease | None:
        lease = super().take_lease(appid, seconds)
        if lease:
            self._redis.hset(self._keys(appid)[1], mapping={"resolved": lease.fencing - 1, "in_doubt_until": 0})
        return lease


class Careless(SteppingStore):
    """Does not look at an account again when its lease ends."""

    def take_lease(self, appid: str, seconds: float) -> Lease | None:
        before = self._redis.zscore(self._due, appid)
        lease = super().take_lease(appid, seconds)
        if lease and before is not None:
            super().plan(appid, before)
        return lease


class Blind(Fetcher):
    """Fetches for each report, without a test of the token."""

    def _act(self, lease: Lease, account: Account, snapshot: Snapshot, decision: Probe | Fetch) -> float | None:
        return self._fetch(lease, account, snapshot, Fetch(decision.cause))


class Hasty(Fetcher):
    """Does not look again after it took the lease."""

    def make(self, account: Account, demand: Demand) -> float | None:
        before = look(self._store, account.appid)
        lease = lease_of(self._store, account.appid, self._durations.lease)
        return self._act(lease, account, before, Fetch(Cause.STALE)) if lease else None


class Optimist(Fetcher):
    """Counts the life of a token from the answer on."""

    def _accept(self, lease: Lease, account: Account, before: Snapshot, cause: Cause, fetched: Issued) -> Commit:
        return super()._accept(replace(lease, taken_at=self._store.now()), account, before, cause, fetched)


@dataclass(frozen=True)
class Seed:
    """A fault, the story that shows it, and the promise that it breaks there."""

    bug: Bug
    story: Story
    breaks: Promise


def _lua(old: str, new: str = "") -> Bug:
    return Bug(lua=(old, new))


BUGS = {
    "there is no lease": Seed(
        _lua("left <= ARGV[2] + 1000 then\n  return nil", "left <= ARGV[2] + 1000 then"),
        stories.two_are_at_it_at_the_same_moment,
        Promise.ONE_FETCH,
    ),
    "a lease that a clock lengthened is waited for": Seed(
        _lua("and left <= ARGV[2] + 1000"), stories.clock_set_back_under_a_lease, Promise.REST
    ),
    "anybody settles a lease": Seed(
        _lua("if redis.call('GET', lease) ~= ARGV[1]", "if false"),
        stories.tested_while_somebody_else_is_at_it,
        Promise.ONE_HOLDER,
    ),
    "anybody's failure ends a lease": Seed(
        _lua("if redis.call('GET', lease) ~= ARGV[1]", "if false"),
        stories.failed_while_somebody_else_is_at_it,
        Promise.ONE_HOLDER,
    ),
    "there is no fence": Seed(
        _lua("if (holder and holder ~= ARGV[1]) or state[5] ~= ARGV[1]", "if false"),
        stories.frozen_before_sending_and_overtaken_twice,
        Promise.ONE_HOLDER,
    ),
    "a refused commit is not healed": Seed(
        _lua("redis.call('HSET', KEYS[2], 'in_doubt', state[1] or 0, 'in_doubt_since', now)"),
        stories.frozen_before_sending,
        Promise.HONEST,
    ),
    "any commit heals": Seed(
        _lua("if (tonumber(state[2] or -1) or -1) >= fencing", "if false"),
        stories.frozen_before_sending_and_overtaken_twice,
        Promise.HONEST,
    ),
    "the fetch of a dead holder is forgotten": Seed(
        Bug(store=Forgetful), stories.killed_before_the_answer, Promise.HONEST
    ),
    "a dead holder is not looked for": Seed(Bug(store=Careless), stories.killed_before_the_answer, Promise.REST),
    "a lost answer is a plain failure": Seed(Bug(store=Trusting), stories.answer_lost, Promise.HONEST),
    "after a lost answer the next fetch follows at once": Seed(
        Bug(durations=replace(DURATIONS, overlap=0.0)), stories.answers_lost_in_a_row, Promise.SPARED
    ),
    "a token in doubt is not tested": Seed(Bug(store=Confident), stories.answer_lost, Promise.TESTED),
    "a token found dead stays where it is": Seed(
        _lua("redis.call('GET', KEYS[1]) == ARGV[3]", "false"),
        stories.found_dead_while_nothing_can_be_fetched,
        Promise.WITHHELD,
    ),
    "a fencing number that comes again is believed": Seed(
        _lua("state[5] ~= ARGV[1]", "tonumber(state[1] or 0) ~= fencing"),
        stories.redis_goes_back_and_a_fencing_number_comes_again,
        Promise.HONEST,
    ),
    "what Redis lost is fetched again at once": Seed(
        _lua("if ARGV[1] == '1' then\n  local time", "if false then\n  local time"),
        stories.redis_goes_back_within_the_overlap,
        Promise.SPARED,
    ),
    "an account that was taken out is forgotten at once": Seed(
        _lua("'removed', 1)", "'remembered', 1)"), stories.taken_out_before_a_fetch, Promise.GONE
    ),
    "a key of a wrong type stays": Seed(
        _lua("type ~= 'none' and type ~= ARGV[index]", "false"), stories.others_write_under_our_keys, Promise.REST
    ),
    "WeChat never acts late": Seed(Bug(store=Impatient), stories.acted_upon_late, Promise.HONEST),
    "a failure deletes the token": Seed(Bug(store=Despairing), stories.refused_by_wechat, Promise.KEPT),
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
        _lua("if redis.call('HGET', KEYS[2], 'rejected') ~= redis.call('HGET', KEYS[2], 'fingerprint')", "if true"),
        stories.reported_while_the_same_token_is_fetched,
        Promise.REPORTED,
    ),
    "the life of a token counts from the answer": Seed(Bug(fetcher=Optimist), stories.answered_slowly, Promise.HONEST),
    "the ledger does not count": Seed(
        _lua("'fetches_today', fetches + 1)", "'fetches_today', fetches)"), stories.answer_lost, Promise.LEDGER
    ),
    "a reader does not look": Seed(Bug(reader_copy=3600.0), stories.replaced_and_read_again, Promise.READ),
}
