"""The schedule: when to look at each credential next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tokenworker.credential import CredentialId
from tokenworker.store.groups import AT_ONCE, grouped
from tokenworker.store.keys import Keys
from tokenworker.store.scripts import Command, Scripts

#: So many members come in one page.
_PAGE = 200


class Schedule:
    """A sorted set of credential ids by the time to look at them; every method may raise `StoreUnavailable`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._key = keys.due

    def set(self, id_: CredentialId, at: float) -> None:
        """Look at a credential next at `at`, in epoch seconds; 0 means at once."""
        self._scripts.together(self.setting(id_, at))

    def setting(self, id_: CredentialId, at: float) -> Command:
        """Return the command that does it, to be sent together with others."""
        return Command(("ZADD", self._key, at, str(id_)))

    def add(self, ids: Iterable[CredentialId]) -> None:
        """Have each looked at: those that have no time yet, at once."""
        for group in grouped(ids):
            members = [word for id_ in group for word in (0, str(id_))]
            self._scripts.command("ZADD", self._key, "NX", *members)

    def advance(self, moments: Mapping[CredentialId, float]) -> None:
        """Look at each by a moment of its own, in epoch seconds, or when it is due if that is sooner."""
        for group in grouped(moments.items()):
            self._scripts.run("advance", [self._key], *(word for id_, at in group for word in (at, str(id_))))

    def drop(self, id_: CredentialId) -> None:
        """Look at a credential no more."""
        self._scripts.command("ZREM", self._key, str(id_))

    def __len__(self) -> int:
        return int(self._scripts.command("ZCARD", self._key))

    def ids(self) -> list[CredentialId]:
        """Return the ids of all credentials that are kept here, sorted."""
        members: set[bytes] = set()
        cursor: int | bytes = 0
        while True:
            cursor, page = self._scripts.command("ZSCAN", self._key, cursor, "COUNT", _PAGE)
            members.update(member for member, _ in page)
            if int(cursor) == 0:
                return _ids(members)

    def due(self, by: float, most: int) -> list[CredentialId]:
        """Return those that are due at `by`, in epoch seconds, the first `most` of them, changing nothing."""
        return _ids(self._scripts.command("ZRANGEBYSCORE", self._key, "-inf", by, "LIMIT", 0, most))

    def claim(self, most: int, grace: float) -> list[CredentialId]:
        """Claim up to `most` whose time has come: nobody looks at them again for `grace` seconds."""
        claimed: list[CredentialId] = []
        for start in range(0, most, AT_ONCE):
            wanted = min(AT_ONCE, most - start)
            members: list[bytes] = self._scripts.run("claim", [self._key], wanted, grace)
            claimed += self._known(members)
            if len(members) < wanted:
                break
        return claimed

    def _known(self, members: list[bytes]) -> list[CredentialId]:
        """Return the credentials that were claimed, in their order; what is none is removed."""
        strange = [member for member in members if _parts(member) is None]
        if strange:
            self._scripts.command("ZREM", self._key, *strange)
        return _ids(members, in_order=True)


def _ids(members: Iterable[bytes], *, in_order: bool = False) -> list[CredentialId]:
    parts = [found for member in members if (found := _parts(member))]
    # Sorted as what they are made from: that takes a fraction of the time, where there are many.
    return [CredentialId(*found) for found in (parts if in_order else sorted(parts))]


def _parts(member: bytes) -> tuple[str, str] | None:
    """Return account and name of a credential; None for what another program or version put here."""
    try:
        account, _, name = member.decode().rpartition(":")
    except UnicodeDecodeError:
        return None
    return (account, name) if account and name else None
