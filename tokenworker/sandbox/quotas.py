"""Call limits over fixed windows."""

from math import isfinite

from tokenworker.sandbox.hosts import WECHAT, Host
from tokenworker.sandbox.state import BanState, QuotaState


class Quota:
    """At most `limit` calls in a window of `window` seconds; windows begin `lead` seconds before UTC's."""

    def __init__(self, limit: int, window: float, errcode: int, lead: float = 0, host: Host = WECHAT) -> None:
        self._limit = limit
        self._window = window
        self._errcode = errcode
        self._lead = lead
        self._host = host
        self._index = -1
        self._used = 0

    def spend(self, now: float) -> None:
        """Count one call; raises WeChatError when the window has none left."""
        index = int((now + self._lead) // self._window)
        if index != self._index:
            self._index, self._used = index, 0
        if self._used >= self._limit:
            raise self._host.refusal(self._errcode, now)
        self._used += 1

    def clear(self) -> None:
        """Give the whole window back."""
        self._used = 0

    def state(self) -> QuotaState:
        """Return what is spent, as plain data."""
        return {"window": self._index, "used": self._used}

    def resume(self, state: QuotaState) -> None:
        """Go on with what was spent before."""
        self._index, self._used = state["window"], state["used"]


class Ban:
    """After `limit` bad calls within `span` seconds all are refused for as long."""

    def __init__(self, limit: int, span: float) -> None:
        self._limit = limit
        self._span = span
        self.clear()

    def clear(self) -> None:
        """Forget the bad calls."""
        self._bad: list[float] = []
        self._until = float("-inf")

    def holds(self, now: float) -> bool:
        """Return whether calls are refused."""
        return now < self._until

    def note(self, now: float) -> None:
        """Count one bad call."""
        self._bad = [moment for moment in self._bad if moment > now - self._span] + [now]
        if len(self._bad) >= self._limit:
            self._bad, self._until = [], now + self._span

    def state(self) -> BanState:
        """Return it as plain data."""
        return {"bad": list(self._bad), "until": self._until if isfinite(self._until) else None}

    def resume(self, state: BanState) -> None:
        """Go on where another was."""
        self.clear()
        self._bad = state["bad"]
        self._until = self._until if state["until"] is None else state["until"]
