"""Whether to make a call once more with the very token that WeChat refused, since a worker probed it and it works."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tokenworker.credential import fingerprint

#: Seconds between two calls that are made once more with the same token.
_INTERVAL = 5.0


class Repeats:
    """Remembers, for the token of each account, what came of such calls.

    A refusal that came by chance is mended by another call. But an API that refuses every token would be called
    twice each time: so there is one such call at a time, and none for a token that was refused twice in one call.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: By appid: the token's fingerprint, and when it may be used for such a call again.
        self._next: dict[str, tuple[str, float]] = {}

    def take(self, appid: str, access_token: str) -> bool:
        """Return whether to make a call once more with a token; then not again for some seconds."""
        name, now = fingerprint(access_token), self._clock()
        known, again = self._next.get(appid, ("", 0.0))
        # Threads that ask at the same time may all get True; that does no harm.
        if known == name and now < again:
            return False
        self._next[appid] = (name, now + _INTERVAL)
        return True

    def give_up(self, appid: str, access_token: str) -> None:
        """Note that it was refused again: this token is not what that API complains of."""
        self._next[appid] = (fingerprint(access_token), math.inf)


#: One for the process: auth objects may be made for a single call.
repeats = Repeats()
