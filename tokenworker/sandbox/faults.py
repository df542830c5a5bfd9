"""Fault switches: what to do wrong, to whom and how often."""

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from tokenworker.sandbox.errors import InputError

Kind = Literal[
    "errcode",  # refuse with `errcode`, worded by `errmsg` or as WeChat does
    "status",  # HTTP `status` (502) with an HTML page, or with `body`
    "body",  # 200 with `body` as it stands
    "empty",  # 200 with nothing in it, as text/html; charset=gbk (seen on the wire in 2017)
    "redirect",  # `status` (302) to `location`
    "hang",  # no answer; hang up after `seconds`, null waits for the caller to do it
    "huge",  # a body that never ends
    "truncated",  # half of the right answer, then hang up
    "delay",  # the right answer, `seconds` late; processed on arrival or, with `before`, after the wait
    "reset",  # RST instead of an answer; processed first or, with `before`, not at all
    "drip",  # the right answer, one byte of the body each `seconds`
    "drip_headers",  # the same with the headers
    "flap",  # 40001 for a token that works
]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_PROCESSED = ("truncated", "delay", "reset", "drip", "drip_headers")


@dataclass(frozen=True)
class Fault:
    """One switch. It acts on the next `times` matching requests, on all of them if that is None."""

    kind: Kind
    times: int | None = 1
    #: Full path or its last part, as in `stable_token`; None matches every WeChat path.
    path: str | None = None
    appid: str | None = None
    #: Part of the matching requests that are hit, chosen by chance.
    share: float = 1.0
    errcode: int = -1
    errmsg: str | None = None
    status: int | None = None
    body: str | None = None
    content_type: str | None = None
    seconds: float | None = 1.0
    before: bool = False
    location: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise InputError(f"A fault's kind is one of: {', '.join(_KINDS)}.")
        for option in fields(self)[1:]:
            _check_type(option.name, getattr(self, option.name), option.type)
        self._check_values()

    def _check_values(self) -> None:
        if self.times is not None and self.times < 1:
            raise InputError("times is a number from 1, or null until the fault is cleared.")
        if not 0 < self.share <= 1:
            raise InputError("share is above 0 and at most 1.")
        if self.seconds is None and self.kind != "hang":
            raise InputError("seconds may be null for hang only.")
        if self.seconds is not None and self.seconds < 0:
            raise InputError("seconds is 0 or more.")
        if self.kind == "redirect" and not self.location:
            raise InputError("A redirect needs a location.")
        if self.status is not None and (not 200 <= self.status <= 599 or self.status in (204, 304)):  # noqa: PLR2004  HTTP's
            raise InputError("status is from 200 to 599, and one that may have a body.")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Fault":
        """Build a fault from decoded JSON; raises InputError."""
        names = {option.name for option in fields(cls)}
        if "kind" not in options or not names.issuperset(options):
            raise InputError(f"A fault has a kind and any of: {', '.join(sorted(names - {'kind'}))}.")
        return cls(**options)

    @property
    def is_processed(self) -> bool:
        """Tell whether the request reaches the platform, so that a token may be minted."""
        return self.kind in _PROCESSED and not (self.kind == "reset" and self.before)

    def matches(self, path: str, appid: str, *, token_works: bool) -> bool:
        """Tell whether the fault is meant for such a request."""
        return (
            self.path in (None, path, path.rpartition("/")[2])
            and self.appid in (None, appid)
            and (token_works or self.kind != "flap")
        )


@dataclass
class _Armed:
    fault: Fault
    left: int | None


class FaultBox:
    """The faults that wait for a request, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Arm one more fault."""
        with self._lock:
            self._armed.append(_Armed(fault, fault.times))

    def clear(self) -> None:
        """Disarm all faults."""
        with self._lock:
            self._armed.clear()

    def describe(self) -> list[dict[str, Any]]:
        """List the faults that are armed; `left` is how many times each will still act."""
        with self._lock:
            return [{**asdict(armed.fault), "left": armed.left} for armed in self._armed]

    def take(self, path: str, appid: str, *, token_works: bool = False) -> Fault | None:
        """Hand out the first fault meant for such a request, and count it down."""
        with self._lock:
            for armed in self._armed:
                if armed.fault.matches(path, appid, token_works=token_works) and _strikes(armed.fault):
                    self._count_down(armed)
                    return armed.fault
        return None

    def _count_down(self, armed: _Armed) -> None:
        if armed.left is None:
            return
        armed.left -= 1
        if armed.left == 0:
            self._armed.remove(armed)


def _strikes(fault: Fault) -> bool:
    return random.random() < fault.share  # noqa: S311  chance, not cryptography


def _check_type(name: str, value: object, wanted: Any) -> None:
    is_number = isinstance(value, int) and isinstance(float(value), wanted)
    if not isinstance(value, wanted) and not is_number:
        raise InputError(f"{name} must be {getattr(wanted, '__name__', wanted)}.")
