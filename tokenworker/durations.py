"""Every duration of tokenworker, in seconds."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Durations:
    """How long things take; `scaled` makes a whole day pass in minutes for demos and tests."""

    #: Between two ticks of beat.
    tick: float = 5.0
    #: One of WeChat's seconds: the rules of the kinds are in those.
    second: float = 1.0
    #: One fetch, from connecting to the last byte.
    fetch_timeout: float = 8.0
    #: WeChat may act on a fetch for so long after we gave up on it.
    stray: float = 60.0
    #: For so long both the old and the new token work after a refresh, says WeChat.
    overlap: float = 300.0
    #: The tick looks away from an account for so long, while its refresh is on the way.
    grace: float = 30.0
    #: Transient failures: the first wait, doubling up to the cap.
    transient_wait: float = 1.0
    transient_cap: float = 15.0
    #: Failures that a person must mend: the first wait, doubling up to the cap.
    operator_wait: float = 60.0
    operator_cap: float = 1800.0
    #: WeChat's minute, for its limit of calls a minute.
    minute: float = 60.0
    #: Between two attempts on a day whose quota is used up.
    day_probe: float = 3600.0
    #: Between two tests of the same token, however often it is reported.
    report_interval: float = 30.0
    #: The same for a contested account: more than three of its tokens died early within `contest_window`.
    contested_interval: float = 600.0
    contest_window: float = 3600.0
    #: Between two forced refreshes; WeChat ignores those within 30 s.
    force_interval: float = 35.0
    #: A failed fetch is not repeated sooner, whoever asks for it.
    retry_gap: float = 5.0
    #: How often the watchdog looks whether Redis went back in time.
    pulse: float = 1.0
    #: Without a tick for so long, beat is thought dead.
    silence: float = 60.0
    #: How often it looks at the accounts, and how overdue an account must be for it to act.
    watchdog_interval: float = 10.0
    watchdog_overdue: float = 30.0
    #: How long a reader trusts its own copy without asking Redis.
    reader_copy: float = 1.0
    #: A reader that can't reach Redis stops using its copy so long before it expires.
    reader_margin: float = 30.0
    #: How long a reader waits for a token that is on its way: a tick, and a fetch.
    reader_patience: float = 8.0

    @property
    def lease(self) -> float:
        """How long one process may be at a fetch: 15 s for 8 s of fetching, room for the look and the commit."""
        return self.fetch_timeout * 15 / 8

    @property
    def fetch_room(self) -> float:
        """How long before the end of a token its last fetch must begin: time for a tick to see it, and for a lease."""
        return self.tick + self.lease

    @property
    def repeat_gap(self) -> float:
        """How long after a fetch that may have replaced our token the next one waits: nearly the overlap."""
        return max(0.0, self.overlap - self.fetch_room)

    @property
    def longest_cooldown(self) -> float:
        """No failure makes an account rest for longer; a longer rest is the work of a clock that went back."""
        return 1.5 * max(self.operator_cap, self.day_probe)

    def scaled(self, factor: float) -> Durations:
        """Return these durations, each times `factor`."""
        return Durations(**{field.name: getattr(self, field.name) * factor for field in fields(self)})
