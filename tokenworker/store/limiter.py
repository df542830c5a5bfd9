"""The limiter: how many calls to WeChat all workers together may begin a second, and have under way at once."""

from __future__ import annotations

from dataclasses import dataclass

from tokenworker.credential import CredentialId
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Command, Scripts


@dataclass(frozen=True)
class Room:
    """What the limiter says: the call may begin, or asks again after `wait` seconds, with its turn if it has one."""

    wait: float
    has_turn: bool
    #: Somebody else waits to make the same call.
    is_taken: bool


class Limiter:
    """Lets calls to WeChat begin; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._rate, self._running, self._waiting = keys.rate, keys.running, keys.waiting

    def acquire(
        self,
        id_: CredentialId,
        *,
        rate: float,
        concurrency: int,
        seconds: float,
        patience: float = 0.0,
        has_turn: bool = False,
    ) -> Room:
        """Let one more call begin, or say how long to wait: turns come at a rate, and then there must be room.

        A turn that is more than `patience` seconds away is not given. Who was given one that was still to come asks
        again when it has, with `has_turn`, as does who found no room; nobody else waits for the same call. A call
        counts as under way until it is released, or for `seconds`.
        """
        times = (1000 / rate, concurrency, int(seconds * 1000), int(patience * 1000))
        keys = [self._rate, self._running, self._waiting]
        wait, given = self._scripts.run("acquire", keys, str(id_), *times, int(has_turn))
        return Room(float(wait) / 1000, given == 1, given < 0)

    def releasing(self, id_: CredentialId) -> Command:
        """Return the command that ends what `acquire` began, to be sent together with the end of the lease."""
        return Command(("ZREM", self._running, str(id_)))
