"""The table: a row for each scenario, and what is wrong with it."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

import redis

_WIDTHS = "{:<52} {:>5}  {:>8} {:>5}  {:>9}  {:>9}  {}"
HEADING = _WIDTHS.format("scenario", "procs", "expected", "seen", "slowest s", "bad reads", "verdict")

#: Why some bad reads are no fault.
INHERENT = (
    "strict: a third classic token kills the first at once, which WeChat's documentation leaves open. Then, when an"
    " answer\ngot lost, whoever heals kills the old token, and nobody knows one that works until WeChat has answered."
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a scenario showed; `expected` is the least and the most number of fetches."""

    scenario: str
    processes: int
    expected: tuple[int, int]
    seen: int
    #: How long the slowest process waited for its token, and how long it may.
    slowest: float | None = None
    limit: float | None = None
    bad_reads: int | None = None
    #: Whether bad reads are no fault, since nobody could do better: see `INHERENT`.
    inherent: bool = False
    #: What else is wrong, in sentences.
    others: tuple[str, ...] = ()
    note: str = ""

    @classmethod
    def broken(cls, scenario: str, why: str) -> Row:
        """Make the row of a scenario that did not come to its end."""
        return cls(scenario=scenario, processes=0, expected=(0, 0), seen=0, others=(why,))

    @property
    def faults(self) -> list[str]:
        return list(self._faults())

    def _faults(self) -> Iterator[str]:
        least, most = self.expected
        if not least <= self.seen <= most:
            yield f"{self.seen} fetches instead of {self._range()}"
        if self.bad_reads and not self.inherent:
            yield f"{self.bad_reads} bad reads"
        if self.slowest is not None and self.limit is not None and self.slowest > self.limit:
            yield f"the slowest took {self.slowest:.2f} s, not {self.limit:.2f} s at most"
        yield from self.others

    def _range(self) -> str:
        least, most = self.expected
        return str(most) if least == most else f"{least}-{most}"

    def __str__(self) -> str:
        verdict = "FAILED: " + "; ".join(self.faults) if self.faults else "ok"
        slowest = "-" if self.slowest is None else f"{self.slowest:.2f}"
        bad_reads = "-" if self.bad_reads is None else str(self.bad_reads)
        line = _WIDTHS.format(self.scenario, self.processes, self._range(), self.seen, slowest, bad_reads, verdict)
        return f"{line}  ({self.note})" if self.note else line


def versions(server: redis.Redis) -> str:
    """Say on what this was proven."""
    info = server.info("server")
    assert isinstance(info, dict)
    name = info.get("server_name", "redis")
    number = info.get(f"{name}_version", info["redis_version"])
    return (
        f"Python {platform.python_version()}, celery {version('celery')}, redis-py {version('redis')}, {name} {number}"
    )
