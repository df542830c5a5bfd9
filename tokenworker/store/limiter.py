"""The limiter: how many calls to WeChat all workers together may begin a second, and have under way at once."""

from __future__ import annotations

from tokenworker.credential import CredentialId
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Command, Scripts


class Limiter:
    """Lets calls to WeChat begin; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._rate, self._running = keys.rate, keys.running

    def acquire(self, id_: CredentialId, *, rate: float, concurrency: int, seconds: float) -> float:
        """Return 0 when one more call may begin, or the seconds to wait, since too many began or are under way.

        A call counts as under way until it is released, or for `seconds`.
        """
        arguments = (str(id_), 1000 / rate, concurrency, int(seconds * 1000))
        return float(self._scripts.run("acquire", [self._rate, self._running], *arguments)) / 1000

    def releasing(self, id_: CredentialId) -> Command:
        """Return the command that ends what `acquire` began, to be sent together with the end of the lease."""
        return Command(("ZREM", self._running, str(id_)))
