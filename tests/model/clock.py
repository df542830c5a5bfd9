"""Time for the model: it stands in the model's hand, and Redis, WeChat, workers and readers all live in it."""

from __future__ import annotations

from support.clock import ClockedServer

#: Two hours before midnight in Beijing, so that long examples see the day change.
_START = 1_800_021_600.0


class Clock:
    """True time, by which WeChat goes, and Redis's clock, which may be stepped away from it; both stand still else."""

    def __init__(self, server: ClockedServer) -> None:
        self._server = server
        self._now = _START
        self._stepped = 0.0
        self._set()

    def now(self) -> float:
        """Tell the true time."""
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Let time pass, for everybody."""
        self._now += seconds
        self._set()

    def step(self, seconds: float) -> None:
        """Set Redis's clock forward, or back."""
        self._stepped += seconds
        self._set()

    def _set(self) -> None:
        self._server.clock.stand_at(self._now + self._stepped)
