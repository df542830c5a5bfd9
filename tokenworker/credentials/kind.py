"""Kinds: WeChat's rules for one sort of credential. Whatever differs between sorts stands in a `Kind`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from tokenworker.accounts.account import Account, Endpoint, Type
from tokenworker.durations import DAY
from tokenworker.secret import Secret

HOUR = 3600.0


class Repeat(Enum):
    """What a fetch brings while there is a credential that works."""

    SAME = "the same one"
    NEW = "a new one, after which the one before has the overlap left to live"


@dataclass(frozen=True)
class Quota:
    """How many fetches WeChat allows in a period of so many seconds; a day begins at midnight in Beijing."""

    fetches: int
    period: float = DAY


@dataclass(frozen=True)
class Request:
    """A call to WeChat; a `repeatable` one may be sent twice."""

    method: Literal["GET", "POST"]
    path: str
    #: The field of the answer that holds what we want.
    field: str
    params: Mapping[str, Any] | None = dataclasses.field(default=None, repr=False)
    json: Mapping[str, Any] | None = dataclasses.field(default=None, repr=False)
    repeatable: bool = True


#: Makes the request that fetches for an account, from what it needs; the last argument asks for a forced refresh.
Fetch = Callable[[Account, Mapping[str, Secret], bool], Request]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """WeChat's rules for one sort of credential; all durations are in seconds."""

    #: The types of accounts that have it, and its name: the last part of the Redis key.
    on: tuple[str, ...]
    name: str
    #: For accounts that choose between endpoints; None: there is no choice.
    endpoint: str | None = None
    #: Whose hosts and errcodes: those of `wechat` or of `wecom`.
    platform: str = "wechat"
    fetch: Fetch
    #: The names of the account's other credentials that a fetch is made from.
    needs: tuple[str, ...] = ()
    repeat: Repeat
    #: A `SAME` one is renewed when no more than this is left of it; asking sooner brings the same one again.
    window: float = 0.0
    #: Its life, as WeChat says: pages "getAccessToken" and "getTicket", WeCom's 91039 and 96909.
    life: float = 7200.0
    #: Seconds before its end at which it is stale; None: half of its life.
    leeway: float | None = None
    #: WeChat says a whole life each time that it hands out the same value: only its first sight counts.
    counts_from_first_sight: bool = False
    #: Seconds for which it stays readable past its counted end, until there is a new one.
    grace: float = 0.0
    #: The errcodes of other calls that say that it is dead.
    dead: frozenset[int] = frozenset()
    #: Makes the cheapest call that says whether one works; None: only its user finds out.
    probe: Callable[[Secret], Request] | None = None
    #: Without a probe, a report has it fetched again, at most once in so many seconds.
    report_interval: float = 60.0
    quota: Quota | None = None
    can_force: bool = False
    #: What to do about errcodes that mean something of their own when this is fetched.
    hints: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def belongs_to(self, type_: Type, endpoint: Endpoint) -> bool:
        """Return whether accounts of a type, and with an endpoint, can have one by these rules."""
        return type_ in self.on and self.endpoint in (None, endpoint)
