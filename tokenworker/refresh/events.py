"""What the history notes of a call to WeChat, and what is counted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokenworker.credential import Credential
from tokenworker.errors import FetchError
from tokenworker.refresh.causes import Cause
from tokenworker.store.history import OUTCOME, Event, Note

#: Bounds of the buckets by which the times of fetches are counted, in seconds, as they stand in names.
BUCKETS = ("0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")

Verdict = Literal["alive", "dead", "unknown"]


@dataclass(frozen=True)
class Asked:
    """A call to WeChat: why, the seconds that it took, or None when it was not made after all, and for whom."""

    cause: Cause
    took: float | None = None
    #: Whether a watchdog made it, since tick or queue did not.
    rescue: bool = False

    @property
    def name(self) -> str:
        """The cause, as programs call it."""
        return self.cause.name.lower()


def refreshed(asked: Asked, credential: Credential, *, early: bool = False) -> Note:
    """Return what a commit notes; it says itself what came of it. `early`: the one before died, without us."""
    event: Event = {"event": "refreshed", "cause": asked.name, "outcome": OUTCOME}
    event |= {"fingerprint": credential.fingerprint, "expires_at": credential.expires_at, "took": asked.took or 0.0}
    return Note(event, {f"fetches:{asked.name}:{OUTCOME}": 1, **_spent(asked), **_died(early=early)})


def failed(asked: Asked, error: FetchError) -> Note:
    """Return what a failure notes; one that was not WeChat's counts as no fetch."""
    event: Event = {"event": "failed", "cause": asked.name, "error": error.reason, "hint": error.hint}
    if error.errcode is not None:
        event["errcode"] = error.errcode
    if asked.took is None:
        return Note(event)
    event["took"] = asked.took
    return Note(event, {f"fetches:{asked.name}:failed": 1, f"errors:{_code(error)}": 1, **_spent(asked)})


def probed(cause: Cause, fingerprint: str, verdict: Verdict, *, early: bool = False, error: str = "") -> Note:
    """Return what a probe notes; `early` that what it found dead died before its time, without us."""
    event: Event = {"event": "probed", "cause": cause.name.lower(), "outcome": verdict, "fingerprint": fingerprint}
    event["error"] = error
    if early:
        event["early"] = True
    return Note(event, {f"probes:{verdict}": 1, **_died(early=early)})


def _spent(asked: Asked) -> dict[str, float]:
    if asked.took is None:
        return {}
    took = asked.took
    bucket = next(bound for bound in BUCKETS if took <= float(bound))
    return {f"took:{bucket}": 1, "took_sum": took} | ({"rescues": 1} if asked.rescue else {})


def _died(*, early: bool) -> dict[str, float]:
    return {"early_deaths": 1} if early else {}


def _code(error: FetchError) -> str:
    return "network" if error.errcode is None else str(error.errcode)
