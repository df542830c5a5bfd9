"""A fault switch: what to do wrong, to whom and how often."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenworker.sandbox.errors import InputError
from tokenworker.sandbox.faults.answers import Body, Empty, Errcode, Flap, Huge, Redirect, Status
from tokenworker.sandbox.faults.breaks import Hang, Reset, Truncated
from tokenworker.sandbox.faults.delays import Delay, Drip, DripHeaders
from tokenworker.sandbox.faults.effect import Effect
from tokenworker.sandbox.faults.options import Options

#: Every effect by its word. A new one is a class and a place here.
EFFECTS: dict[str, type[Effect]] = {
    effect.kind: effect
    for effect in (
        Errcode,
        Status,
        Body,
        Empty,
        Redirect,
        Hang,
        Huge,
        Truncated,
        Delay,
        Reset,
        Drip,
        DripHeaders,
        Flap,
    )
}


@dataclass(frozen=True, kw_only=True)
class Scope(Options):
    """Which calls a fault is meant for. It acts on the next `times` of them, on all if that is None."""

    times: int | None = 1
    #: The path or its end, as in `stable_token` or `ticket/get`; None matches every WeChat path.
    path: str | None = None
    #: Whose calls: an appid, CORPID/AGENT, or a corpid for calls that say no more.
    appid: str | None = None
    #: Part of the matching calls that are hit, chosen by chance.
    share: float = 1.0

    def check(self) -> None:
        """Want at least one call, and a chance to hit it."""
        if self.times is not None and self.times < 1:
            raise InputError("times is a number from 1, or null until the fault is cleared.")
        if not 0 < self.share <= 1:
            raise InputError("share is above 0 and at most 1.")

    def covers(self, path: str, appid: str) -> bool:
        """Return whether a call is meant."""
        fits = self.path is None or f"/{path.lstrip('/')}".endswith(f"/{self.path.lstrip('/')}")
        return fits and self.appid in (None, appid)


class Fault:
    """A scope and an effect: `Fault("errcode", errcode=45009, times=2)`. Raises InputError."""

    def __init__(self, kind: str, **options: Any) -> None:
        if kind not in EFFECTS:
            raise InputError(f"A fault's kind is one of: {', '.join(EFFECTS)}.")
        own, common = EFFECTS[kind].names(), Scope.names()
        if not (own | common).issuperset(options):
            raise InputError(f"{kind} takes any of: {', '.join(sorted(own | common))}.")
        self.scope = Scope(**{name: value for name, value in options.items() if name in common})
        self.effect = EFFECTS[kind](**{name: value for name, value in options.items() if name in own})

    def __repr__(self) -> str:
        return f"<Fault {self.as_json()}>"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Fault":
        """Build a fault from decoded JSON; raises InputError."""
        if not isinstance(options.get("kind"), str):
            raise InputError(f"A fault has a kind, one of: {', '.join(EFFECTS)}.")
        return cls(**options)

    def as_json(self) -> dict[str, Any]:
        """Return the options that make such a fault."""
        return {"kind": self.effect.kind, **self.scope.as_json(), **self.effect.as_json()}

    def matches(self, path: str, appid: str, *, token_works: bool) -> bool:
        """Return whether the fault is meant for such a call."""
        return self.scope.covers(path, appid) and (token_works or not self.effect.needs_working_token)
