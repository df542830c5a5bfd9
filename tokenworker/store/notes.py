"""Notes: what workers tell everybody besides credentials: names, faults, signs of life."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import cast

from tokenworker.store.groups import AT_ONCE, grouped
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Call, Command, Scripts, readable, text

_DAY_MS = 86_400_000

#: For so many seconds a worker is remembered that shows no sign of life.
_REMEMBERED = 600

#: No rate of ours is higher.
_MOST = 1e6

#: So many names come in one page.
_PAGE = 200


class Notes:
    """What all processes know of the accounts, of beat and of Redis; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def rename(self, names: Mapping[str, str]) -> None:
        """Note the names of accounts by id, and that one with an empty name has none."""
        named = [word for account, name in names.items() if name for word in (account, name)]
        nameless = [account for account, name in names.items() if not name]
        for words in grouped(named, AT_ONCE):
            self._scripts.command("HSET", self._keys.names, *words)
        for accounts in grouped(nameless):
            self._scripts.command("HDEL", self._keys.names, *accounts)

    def names(self) -> dict[str, str]:
        """Return the names of the accounts that have one, by id."""
        names: dict[bytes, bytes] = {}
        cursor: int | bytes = 0
        while True:
            cursor, page = self._scripts.command("HSCAN", self._keys.names, cursor, "COUNT", _PAGE)
            names |= page
            if int(cursor) == 0:
                return {text(account): readable(name) for account, name in names.items()}

    def names_of(self, accounts: Sequence[str]) -> dict[str, str]:
        """Return the names of these accounts, as far as they have one, by id."""
        if not accounts:
            return {}
        names = cast("list[bytes | None]", self._scripts.command("HMGET", self._keys.names, *accounts))
        return {account: readable(name) for account, name in zip(accounts, names, strict=True) if name}

    def set_accounts_error(self, error: str | None, seconds: float) -> None:
        """Note for the status, for `seconds`, why the accounts file can't be used; None: it can."""
        if error:
            self._scripts.command("SET", self._keys.accounts_error, error, "PX", int(seconds * 1000))
        else:
            self._scripts.command("DEL", self._keys.accounts_error)

    def accounts_error(self) -> str | None:
        """Return what is wrong with the accounts file, if anything."""
        error = cast("bytes | None", self._scripts.command("GET", self._keys.accounts_error))
        return readable(error) if error else None

    def set_ticked(self, rate: float = 0.0) -> None:
        """Note that beat's tick came through, and how many calls a second may then be begun, for who watches."""
        self._scripts.command("SET", self._keys.ticked, f"{rate:g}", "PX", _DAY_MS)

    def ticked_ago(self) -> float | None:
        """Return the seconds since the last tick came through; None when there was none for a day."""
        left = int(self._scripts.command("PTTL", self._keys.ticked))
        return (_DAY_MS - left) / 1000 if left > 0 else None

    def rate(self) -> float | None:
        """Return how many calls to WeChat a second might be begun at the last tick, if there was one for a day."""
        found = cast("bytes | None", self._scripts.command("GET", self._keys.ticked))
        try:
            rate = float(found or 0)
        except ValueError:
            return None
        return rate if 0 < rate < _MOST else None

    def pulse(self, worker: str) -> int:
        """Count on, and return the number, which only grows, unless Redis goes back in time; `worker` is alive."""
        steps = Call("pulse", [self._keys.pulse]), Call("alive", [self._keys.workers], (worker, _REMEMBERED))
        return int(self._scripts.together(*steps)[0])

    def leave(self, worker: str) -> None:
        """Note that a worker ends in order: nobody need miss it."""
        self._scripts.command("ZREM", self._keys.workers, worker)

    def workers(self) -> dict[str, float]:
        """Return how many seconds ago each worker was alive, by `host:pid`; for ten minutes after its last sign."""
        found = self._scripts.run("living", [self._keys.workers], _REMEMBERED)
        return {text(name): float(ago) for name, ago in zip(found[::2], found[1::2], strict=True)}

    def mark(self, name: str, seconds: float) -> bool:
        """Set a mark that goes by itself; False when it stands already, since less than `seconds` ago."""
        key, length = self._keys.mark(name), int(seconds * 1000)
        if int(self._scripts.command("PTTL", key)) > length + 1000:
            self._scripts.command("DEL", key)  # the clock went back once more since, by a second at least
        # By a name of its own: when the answer is lost and it is set again, it is still ours.
        ours = secrets.token_hex(8)
        steps = Command(("SET", key, ours, "NX", "PX", length)), Command(("GET", key))
        return bool(self._scripts.together(*steps)[1] == ours.encode())
