"""How credentials are, for people and programs: a public shape of its own, without secrets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, TypedDict

from tokenworker.credential import CredentialId
from tokenworker.demo import DEMO_ACCOUNTS
from tokenworker.durations import Durations
from tokenworker.refresh.causes import SLACK, contested
from tokenworker.store.groups import grouped
from tokenworker.store.state import Snapshot
from tokenworker.store.store import Store

#: `contested`: another program fetches for the same account.
State = Literal["live", "missing", "contested"]


class Status(TypedDict):
    """What is told of a credential. Moments are epoch seconds by Redis's clock, 0 for never; lengths are seconds."""

    account: str
    #: Which of the account's credentials, such as `access_token`.
    credential: str
    #: What people call the account.
    name: str
    state: State
    #: Whether it is made up.
    sandbox: bool
    #: First 16 hex digits of its SHA-256; the one that we committed last.
    fingerprint: str
    now: float
    expires_at: float | None
    expires_in: float | None
    fetched_at: float
    refresh_at: float
    #: How long somebody may still be at WeChat for it; None when nobody is.
    lease_left: float | None
    #: Since the quota's period began: a day, for most.
    fetches_today: int
    forced_today: int
    #: The last failure, and what to do; empty when the last fetch succeeded.
    failures: int
    error: str
    errcode: int | None
    hint: str
    failed_at: float
    retry_at: float
    #: Since when nobody knows whether WeChat replaced it; 0 when that is known.
    in_doubt_since: float
    #: Fingerprint of the one that a service reported and that nobody has looked into yet.
    rejected: str
    probed_at: float
    probe_error: str
    #: How many died before their time, without us, within an hour.
    early_deaths: int
    #: Why a published copy could not be written.
    publish_error: str


def describe(snapshot: Snapshot, durations: Durations, name: str = "") -> Status:
    """Return how a credential is; `name` is what people call its account."""
    it, live = snapshot, snapshot.credential
    return {
        "account": it.id.account,
        "credential": it.id.name,
        "name": name,
        "state": _state(it, durations),
        "sandbox": it.id.account in DEMO_ACCOUNTS,
        "fingerprint": it.fingerprint,
        "now": it.now,
        "expires_at": live.expires_at if live else None,
        "expires_in": round(live.expires_in(it.now), 3) if live else None,
        "fetched_at": it.fetched_at,
        "refresh_at": it.refresh_at,
        "lease_left": it.lease_left,
        "fetches_today": it.fetches_today,
        "forced_today": it.forced_today,
        "failures": it.failures,
        "error": it.error,
        "errcode": it.errcode,
        "hint": it.hint,
        "failed_at": it.failed_at,
        "retry_at": it.retry_at,
        "in_doubt_since": it.in_doubt_since if it.in_doubt is not None else 0.0,
        "rejected": it.rejected,
        "probed_at": it.probed_at,
        "probe_error": it.probe_error,
        "early_deaths": it.early_deaths,
        "publish_error": it.publish_error,
    }


def _state(snapshot: Snapshot, durations: Durations) -> State:
    if contested(snapshot, durations):
        return "contested"
    return "live" if snapshot.credential else "missing"


def survey(store: Store, durations: Durations, ids: Iterable[CredentialId] | None = None) -> list[Status]:
    """Return how credentials are, all that are kept by default; raises `StoreUnavailable`."""
    chosen = store.schedule.ids() if ids is None else list(ids)
    names: dict[str, str] = {}
    for group in grouped(dict.fromkeys(id_.account for id_ in chosen)):
        names |= store.notes.names_of(group)
    looks = store.bulk.look(chosen)
    return [describe(snapshot, durations, names.get(snapshot.id.account, "")) for snapshot in looks]


#: By the letters of a glance, worst first; `t` is live, but has an error or is in doubt.
_STATES: dict[str, State] = {"m": "missing", "c": "contested", "t": "live", "l": "live"}


class Overview:
    """How all credentials are, at a glance: cheap, whatever their number."""

    def __init__(self, store: Store, durations: Durations, ids: Iterable[CredentialId]) -> None:
        """Look; raises `StoreUnavailable`."""
        self._letters = dict(store.bulk.glances(ids, durations.contest_window, SLACK))

    @property
    def counts(self) -> dict[State, int]:
        """How many are in each state."""
        letters = Counter(self._letters.values())
        counts: dict[State, int] = {"live": 0, "missing": 0, "contested": 0}
        for letter, state in _STATES.items():
            counts[state] += letters[letter]
        return counts

    def worst(self, state: State | None = None, *, healthy: bool = True) -> list[CredentialId]:
        """Return those in a state, or all, worst first; without those that are `healthy`, if they are not wanted."""
        wanted = [letter for letter, name in _STATES.items() if state in (None, name) and (healthy or letter != "l")]
        return [id_ for letter in wanted for id_, found in self._letters.items() if found == letter]
