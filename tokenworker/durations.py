"""Every duration of tokenworker, in seconds.

In the comments, a name in quotes is a page of WeChat's documentation, as of November 2026; what names none is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

#: The day by which WeChat counts calls, and how far its clock is ahead of UTC: our reading of "per day" in "API call
#: limits", since WeChat is in Beijing.
DAY = 86_400.0
BEIJING = 8 * 3600


def period_at(moment: float, length: float) -> int:
    """Return the number of the quota's period at a moment, in epoch seconds; `length` is a day, for most."""
    return int((moment + BEIJING) // length)


@dataclass(frozen=True)
class Durations:
    """How long things take; `scaled` makes a whole day pass in minutes for demos and tests."""

    #: Between two ticks of beat.
    tick: float = 5.0
    #: One of WeChat's seconds: the rules of the kinds are in those.
    second: float = 1.0
    #: One fetch, from connecting to the last byte.
    fetch_timeout: float = 8.0
    #: WeChat may act on a fetch for so long after we gave up on it: a guess, on which no page says anything.
    stray: float = 60.0
    #: Both the old and the new token work for so long after a refresh: "access_token usage notes", and WeChat's staff.
    overlap: float = 300.0
    #: A claimed credential is not due again for so long, while its refresh is on the way.
    grace: float = 30.0
    #: Cooldown after transient failures: the first one, doubling up to the cap.
    transient_wait: float = 1.0
    transient_cap: float = 15.0
    #: Cooldown after failures that a person must mend: the first one, doubling up to the cap.
    operator_wait: float = 60.0
    operator_cap: float = 1800.0
    #: The minute by which WeChat limits calls (45011): "getStableAccessToken".
    minute: float = 60.0
    #: Between two fetches on a day whose quota is used up.
    day_probe: float = 3600.0
    #: Between two probes of the same value, however often it is reported.
    report_interval: float = 30.0
    #: The same for a contested account: several of its values died early within `contest_window`.
    contested_interval: float = 600.0
    contest_window: float = 3600.0
    #: Between two forced refreshes; WeChat ignores one within 30 s of the last: "getStableAccessToken".
    force_interval: float = 35.0
    #: A failed fetch is not repeated sooner, whoever asks for it.
    retry_gap: float = 5.0
    #: How often the watchdog looks whether Redis went back in time.
    pulse: float = 1.0
    #: How long a lease waits for the replicas of Redis that must know of it.
    replication: float = 0.5
    #: Without a tick for so long, beat is thought dead.
    silence: float = 60.0
    #: How often the watchdog looks at what is due, and how overdue that must be for it to act.
    watchdog_interval: float = 10.0
    watchdog_overdue: float = 30.0
    #: How long a reader answers from its cache without asking Redis.
    reader_copy: float = 1.0
    #: A reader that can't reach Redis stops answering from its cache so long before the end of what is cached.
    reader_margin: float = 30.0
    #: How long a reader waits for a credential that is on its way: a tick, and a fetch.
    reader_patience: float = 8.0

    @property
    def lease(self) -> float:
        """How long one process may be at a fetch: 15 s for 8 s of fetching, with room for look and commit."""
        return self.fetch_timeout * 15 / 8

    @property
    def fetch_room(self) -> float:
        """How long before its end the last fetch must begin: time for a tick to see that, and for a lease."""
        return self.tick + self.lease

    @property
    def repeat_gap(self) -> float:
        """How long the next fetch waits after one that may have replaced ours: nearly the overlap."""
        return max(0.0, self.overlap - self.fetch_room)

    @property
    def suspicion(self) -> float:
        """How long after a failover a value may still die of a fetch that Redis lost: the overlap, and such a fetch."""
        return self.overlap + self.fetch_room

    @property
    def longest_cooldown(self) -> float:
        """No cooldown is longer; one that is comes from a clock that went back."""
        return 1.5 * max(self.operator_cap, self.day_probe)

    def scaled(self, factor: float) -> Durations:
        """Return these durations, each times `factor`."""
        return Durations(**{field.name: getattr(self, field.name) * factor for field in fields(self)})
