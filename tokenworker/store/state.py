"""What the state of a credential says: its fields, how they are read, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypedDict, get_type_hints

from tokenworker.credential import Credential, CredentialId, sure_for
from tokenworker.durations import DAY, period_at
from tokenworker.store.scripts import readable, text

#: More early deaths than this within the contest window are no accident: the account is contested.
MANY_DEATHS = 3


@dataclass(frozen=True)
class Lease:
    """The right to make one call to WeChat for one credential; `fencing` grows with each lease."""

    id: CredentialId
    owner: str
    fencing: int
    #: Epoch seconds by Redis's clock.
    taken_at: float
    until: float
    #: Whether as many replicas know of it as were asked for: whatever server takes over then knows of our call.
    replicated: bool = True
    #: The owner of the lease before, by which Redis tells whether it went back to the moment before ours.
    after: str = ""


class Facts(TypedDict, total=False):
    """The fields of the state that are written from here; scripts write the others. Moments are epoch seconds."""

    ends_at: float
    born_after: float
    sure_until: float
    in_doubt_until: float
    in_doubt_since: float
    rejected: str
    probed: str
    probed_at: float
    probed_alive: str
    probed_dead: str
    probe_error: str
    reissued_dead: str
    early_deaths: int
    early_deaths_since: float
    failures: int
    error: str
    errcode: int | None
    hint: str
    limited: int
    settings_tried: str
    settings_accepted: str
    publish_digest: str
    trusted_until: float
    suspected_at: float


@dataclass(frozen=True, kw_only=True)
class State:
    """What the state of a credential says; a field that is not there has its default."""

    #: The value that we committed last; another one under the key was put there by somebody else.
    fingerprint: str = ""
    fetched_at: float = 0.0
    refresh_at: float = 0.0
    #: When it ends by our count, for kinds that count from the first sight of a value.
    ends_at: float = 0.0
    #: For the same kinds: WeChat can't have begun to hand out the value before that.
    born_after: float = 0.0
    #: Where the next fetch ends it: until when it surely works all the same; 0: as long as it lives.
    sure_until: float = 0.0
    fencing: int = 0
    #: The last lease whose end is known; if it is not the last one taken, the end of a fetch is unknown.
    resolved: int = 0
    #: Fetches up to this fencing number overlapped, so that nobody knows what WeChat issued last.
    in_doubt: int | None = None
    #: Until then WeChat may act on a fetch whose end we don't know, and so replace what came after it.
    in_doubt_until: float = 0.0
    #: Since when a fetch may have replaced ours, and nobody knows whether it did; 0: since never.
    in_doubt_since: float = 0.0
    #: Fingerprints: of the one that a service reported, and of those that a probe found alive and dead.
    rejected: str = ""
    probed_alive: str = ""
    probed_dead: str = ""
    #: A dead one that WeChat handed out once more.
    reissued_dead: str = ""
    #: The one that was last probed, whatever came of it, when, and why that told us nothing.
    probed: str = ""
    probed_at: float = 0.0
    probe_error: str = ""
    #: Where there is no probe: until then a report of the one that was fetched last brings nothing new.
    trusted_until: float = 0.0
    #: When another server took over, which may lack one that came after it; 0: it was probed since, or there is none.
    suspected_at: float = 0.0
    #: How many died before their time, without us, since `early_deaths_since`.
    early_deaths: int = 0
    early_deaths_since: float = 0.0
    failures: int = 0
    error: str = ""
    errcode: int | None = None
    hint: str = ""
    failed_at: float = 0.0
    retry_at: float = 0.0
    #: Whether the last failure was a limit of WeChat's, which nobody may ask away: 0 or 1.
    limited: int = 0
    #: Digests of the account's settings: at the last fetch; at the last commit; as somebody last changed them.
    settings_tried: str = ""
    settings_accepted: str = ""
    settings_announced: str = ""
    #: In which period of the quota something was fetched last; its number.
    day: int = 0
    #: Since the quota's period began: a day, for most kinds.
    fetches_today: int = 0
    forced_today: int = 0
    forced_at: float = 0.0
    #: How many fetches WeChat allows in a period of so many seconds, as of the last one; 0: any number.
    quota: int = 0
    quota_period: float = 0.0
    #: Digest of the list of published copies that were written last, and why one of them could not be.
    publish_digest: str = ""
    publish_error: str = ""
    #: Whether the account was taken out of the settings a moment ago: 0 or 1.
    removed: int = 0


@dataclass(frozen=True, kw_only=True)
class Snapshot(State):
    """Everything that Redis knows of one credential at the moment `now`."""

    id: CredentialId
    now: float
    credential: Credential | None
    #: Seconds that the running lease still has; None when nobody holds one.
    lease_left: float | None

    def sure(self, overlap: float) -> Credential | None:
        """Return the credential with the end until which a caller may keep it, whatever is fetched meanwhile."""
        if self.credential is None:
            return None
        left = sure_for(self.credential.expires_in(self.now), self.sure_until, self.now, overlap)
        return replace(self.credential, expires_at=self.now + left)

    @classmethod
    def of(cls, id_: CredentialId, answer: Sequence[Any]) -> Snapshot:
        """Return the snapshot in what the script `snapshot` returns."""
        now, value, left, lease_left, fields = answer
        moment, state = now / 1000, _state(fields)
        if state.get("day") != period_at(moment, state.get("quota_period") or DAY):
            state |= {"fetches_today": 0, "forced_today": 0}
        return cls(
            id=id_,
            now=moment,
            credential=credential(value, left, moment),
            lease_left=lease_left / 1000 if lease_left > 0 else None,
            **state,
        )


def credential(value: bytes | None, left: int, now: float) -> Credential | None:
    """Return what a key holds that has `left` ms to live.

    A key that never expires is none of ours, and nobody knows how long what it holds will work.
    """
    return Credential(text(value), now + left / 1000) if value and left > 0 else None


def flat(facts: Mapping[str, object]) -> list[Any]:
    """Return facts as HSET takes them; None is written as empty, and so read as the field's default."""
    return [word for name, value in facts.items() for word in (name, _written(value))]


def _written(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else value


def _reader(kind: Any) -> Callable[[str], Any]:
    """Return how a field is read; one of a type that nobody can read fails when this module is imported."""
    return _READERS[kind]


#: No moment or length is larger, in seconds, and no count.
_LATEST, _MOST = 1e11, 10**15


def _moment(text: str) -> float:
    number = float(text)
    if not -_LATEST < number < _LATEST:
        raise ValueError(f"{number} is no moment")
    return number


def _count(text: str) -> int:
    number = int(text)
    if not -_MOST < number < _MOST:
        raise ValueError("it is no count")
    return number


_READERS: dict[Any, Callable[[str], Any]] = {float: _moment, int: _count, int | None: _count, str: str}
_FIELDS = {name: _reader(kind) for name, kind in get_type_hints(State).items()}
if unknown := Facts.__annotations__.keys() - _FIELDS.keys():
    raise TypeError(f"the state has no fields {sorted(unknown)}")


def _state(fields: list[bytes]) -> dict[str, Any]:
    """Return the fields of the state by name; fields of another version, and nonsense, are left out."""
    state: dict[str, Any] = {}
    for key, value in zip(fields[::2], fields[1::2], strict=True):
        if read := _FIELDS.get(name := text(key)):
            with suppress(ValueError):
                state[name] = read(readable(value))
    return state
