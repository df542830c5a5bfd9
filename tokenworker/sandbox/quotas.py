"""Call limits over fixed windows."""

from tokenworker.sandbox.errors import refusal


class Quota:
    """At most `limit` calls in a window of `window` seconds; windows begin `lead` seconds before UTC's."""

    def __init__(self, limit: int, window: float, errcode: int, lead: float = 0) -> None:
        self._limit = limit
        self._window = window
        self._errcode = errcode
        self._lead = lead
        self._index = -1
        self._used = 0

    def spend(self, now: float) -> None:
        """Count one call; raises WeChatError when the window has none left."""
        index = int((now + self._lead) // self._window)
        if index != self._index:
            self._index, self._used = index, 0
        if self._used >= self._limit:
            raise refusal(self._errcode, now)
        self._used += 1

    def clear(self) -> None:
        """Give the whole window back."""
        self._used = 0
