"""What a process remembers: the credentials it read, those that WeChat refused, and for which it waited in vain."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tokenworker.credential import Credential, CredentialId
from tokenworker.durations import Durations

#: The longest life that is believed, in seconds: 7200, and 300 for which a ticket stays readable. A longer one comes
#: from a clock that went back at Redis.
LONGEST_LIFE = 7500.0
#: Two looks at the same end may differ by so many seconds, for they take time.
_SAME_END = 1.0

#: The number and the time of the fetch that brought a value, in epoch seconds; (0, 0) when nobody knows.
Version = tuple[float, float]


@dataclass(slots=True)
class _Entry:
    """A credential, also as it stands in Redis, and its times by this process's monotonic clock.

    Never changed, but not frozen either: that would make it twice as slow to build.
    """

    credential: Credential
    value: bytes = field(repr=False)
    seen_at: float
    expires_at: float
    #: Until then there is no need to look at Redis.
    fresh_until: float
    version: Version
    #: The seconds before its end in which it may be over: the next fetch ends it.
    unsure: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """That WeChat refused the one with this fingerprint, by this process's clock; until then wait for another."""

    fingerprint: str
    until: float


class Cache:
    """One entry for each credential; safe to share between threads, for an entry is replaced and never changed."""

    def __init__(self, durations: Durations, clock: Callable[[], float]) -> None:
        self._durations = durations
        self._clock = clock
        self._entries: dict[CredentialId, _Entry] = {}
        self._rejections: dict[CredentialId, Rejection] = {}
        self._in_vain: dict[CredentialId, float] = {}

    # What may be used

    def fresh(self, id_: CredentialId) -> Credential | None:
        """Return one that needs no look at Redis yet."""
        entry = self._entries.get(id_)
        return entry.credential if entry and self._clock() < entry.fresh_until else None

    def within_overlap(self, id_: CredentialId) -> Credential | None:
        """Return one that was in Redis so lately that it works even if there is a newer one."""
        entry = self._entries.get(id_)
        if entry and self._clock() < entry.seen_at + self._durations.overlap - self._durations.reader_margin:
            return self.stale_if_error(id_)
        return None

    def stale_if_error(self, id_: CredentialId) -> Credential | None:
        """Return one that has not run out, for as long as Redis is away."""
        entry = self._entries.get(id_)
        left = entry.expires_at - self._durations.reader_margin - self._clock() if entry else 0
        return entry.credential if entry and left > 0 else None

    def left(self, id_: CredentialId, credential: Credential) -> float:
        """Return the seconds for which a caller may keep one.

        By this process's clock if it is ours, else by Redis's and our date.
        """
        entry = self._entries.get(id_)
        if entry is None or entry.credential is not credential:
            return credential.expires_in(time.time())
        # It was there when we looked, so that it works for the overlap, whatever is fetched meanwhile.
        sure = max(entry.expires_at - entry.unsure, entry.seen_at + self._durations.overlap)
        return min(entry.expires_at, sure) - self._clock()

    def newer(self, id_: CredentialId, version: Version) -> Credential | None:
        """Return ours, if it came after the one in Redis, of that version, and has not run out.

        Then Redis went back in time. Unless both numbers say so, it was emptied, or its clock was set.
        """
        entry = self._entries.get(id_)
        if entry is None or not all(0 < theirs < ours for theirs, ours in zip(version, entry.version, strict=True)):
            return None
        credential = self.stale_if_error(id_)
        if credential:
            self._entries[id_] = replace(entry, fresh_until=self._clock() + self._durations.reader_copy)
        return credential

    # What was read

    def keep(
        self,
        id_: CredentialId,
        credential: Credential,
        left: float,
        asked_at: float,
        version: Version,
        *,
        unsure: float,
        in_doubt: bool,
    ) -> Credential:
        """Remember one that had `left` seconds to live, the last ones `unsure`, counted from before we asked.

        One in doubt is never fresh: WeChat may replace it at any moment.
        """
        end = asked_at + min(left, LONGEST_LIFE)
        fresh_until = asked_at if in_doubt else min(asked_at + self._durations.reader_copy, end)
        self._entries[id_] = _Entry(credential, credential.value.encode(), asked_at, end, fresh_until, version, unsure)
        return credential

    def confirm(
        self, id_: CredentialId, value: object, left: float, asked_at: float, *, in_doubt: bool
    ) -> Credential | None:
        """Keep and return ours, if it is still the `value` in Redis and its end is where it was."""
        entry = self._entries.get(id_)
        if entry is None or value != entry.value or abs(asked_at + left - entry.expires_at) > _SAME_END:
            return None
        return self.keep(id_, entry.credential, left, asked_at, entry.version, unsure=entry.unsure, in_doubt=in_doubt)

    def bury(self, id_: CredentialId, fingerprint: str) -> None:
        """Forget one that is dead, if it is ours."""
        entry = self._entries.get(id_)
        if entry and entry.credential.fingerprint == fingerprint:
            self._entries.pop(id_, None)

    # What WeChat refused, and what did not come

    def reject(self, id_: CredentialId, fingerprint: str) -> None:
        """Remember that WeChat refused one, for as long as another may be on its way."""
        now = self._clock()
        self._rejections[id_] = Rejection(fingerprint, now + self._durations.reader_patience)
        self.bury(id_, fingerprint)

    def rejection(self, id_: CredentialId) -> Rejection | None:
        """Return what WeChat refused just now."""
        rejection = self._rejections.get(id_)
        return rejection if rejection and self._clock() < rejection.until else None

    def clear_rejection(self, id_: CredentialId) -> None:
        """Forget that one was refused: a worker probed it and it works."""
        self._rejections.pop(id_, None)

    def note_in_vain(self, id_: CredentialId) -> None:
        """Remember that waiting for it brought nothing."""
        self._in_vain[id_] = self._clock() + self._durations.reader_patience

    def in_vain(self, id_: CredentialId) -> bool:
        """Return whether waiting brought nothing so lately that another wait is not worth it."""
        return self._clock() < self._in_vain.get(id_, 0)
