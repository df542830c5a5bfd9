"""What a process remembers: the tokens it read, those that WeChat refused, and that Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tokenworker.credential import Credential
from tokenworker.durations import Durations

#: No token of WeChat lives longer; a longer life is the work of a clock that went back at Redis.
LONGEST_LIFE = 7200.0
#: Two looks at the same end differ by the time that they take, in seconds.
_SAME_END = 1.0


@dataclass(slots=True)
class _Copy:
    """A token, also as it stands in Redis, and its times by this process's monotonic clock.

    Never changed, but not frozen either: that would make it twice as slow to build.
    """

    token: Credential
    value: bytes = field(repr=False)
    seen_at: float
    expires_at: float
    #: Until then there is no need to look at Redis.
    fresh_until: float
    #: How often the account was fetched when this one was there, and when it was; (0, 0) when nobody knows.
    version: tuple[float, float]


class Copies:
    """One copy for each account; safe to share between threads, for a copy is replaced and never changed."""

    def __init__(self, durations: Durations, clock: Callable[[], float]) -> None:
        self._durations = durations
        self._clock = clock
        self._copies: dict[str, _Copy] = {}
        self._rejected: dict[str, tuple[str, float]] = {}
        self._silence: tuple[str, float] | None = None
        self._in_vain: dict[str, float] = {}

    def fresh(self, appid: str) -> Credential | None:
        """Return a token that needs no look at Redis yet."""
        copy = self._copies.get(appid)
        return copy.token if copy and self._clock() < copy.fresh_until else None

    def lasting(self, appid: str) -> Credential | None:
        """Return a token that has not run out, for as long as Redis is away."""
        copy = self._copies.get(appid)
        return copy.token if copy and self._clock() < copy.expires_at - self._durations.reader_margin else None

    def recent(self, appid: str) -> Credential | None:
        """Return a token that was in Redis so lately that it works even if there is a newer one."""
        copy = self._copies.get(appid)
        if copy and self._clock() < copy.seen_at + self._durations.overlap - self._durations.reader_margin:
            return self.lasting(appid)
        return None

    def keep(
        self,
        appid: str,
        token: Credential,
        left: float,
        asked_at: float,
        version: tuple[float, float] = (0.0, 0.0),
        *,
        in_doubt: bool = False,
    ) -> Credential:
        """Remember a token that had `left` seconds to live, counted from before we asked."""
        end = asked_at + min(left, LONGEST_LIFE)
        fresh_until = asked_at if in_doubt else min(asked_at + self._durations.reader_copy, end)
        value = token.access_token.encode()
        self._copies[appid] = _Copy(token, value, asked_at, end, fresh_until, version)
        return token

    def renew(
        self, appid: str, value: object, left: float, asked_at: float, *, in_doubt: bool = False
    ) -> Credential | None:
        """Return the token we have, if it is still the `value` in Redis and its end is where it was."""
        copy = self._copies.get(appid)
        if copy is None or value != copy.value or abs(asked_at + left - copy.expires_at) > _SAME_END:
            return None
        return self.keep(appid, copy.token, left, asked_at, copy.version, in_doubt=in_doubt)

    def newer(self, appid: str, version: tuple[float, float]) -> Credential | None:
        """Return the token we have, if it came after the one in Redis, of that version, and has not run out.

        Then Redis went back in time. Unless both numbers say so, it was emptied, or its clock was set.
        """
        copy = self._copies.get(appid)
        if copy is None or not (0 < version[0] < copy.version[0] and 0 < version[1] < copy.version[1]):
            return None
        token = self.lasting(appid)
        if token:
            self._copies[appid] = replace(copy, fresh_until=self._clock() + self._durations.reader_copy)
        return token

    def bury(self, appid: str, fingerprint: str | None) -> None:
        """Forget a token that a worker found dead, if it is the one we have."""
        copy = self._copies.get(appid)
        if copy and copy.token.fingerprint == fingerprint:
            self._copies.pop(appid, None)

    # Redis is away

    def note_silence(self, reason: str) -> None:
        """Remember that Redis did not answer just now."""
        self._silence = reason, self._clock() + self._durations.reader_copy

    def note_answer(self) -> None:
        """Remember that Redis answers."""
        self._silence = None

    def silence(self) -> str | None:
        """Say why Redis is not worth asking at this moment."""
        silence = self._silence
        return silence[0] if silence and self._clock() < silence[1] else None

    @property
    def in_doubt(self) -> bool:
        """Say whether Redis did not answer when it was asked last."""
        return self._silence is not None

    # Refused tokens

    def reject(self, appid: str, fingerprint: str) -> None:
        """Remember that WeChat refused a token, for as long as another may be on its way."""
        self._rejected[appid] = fingerprint, self._clock() + self._durations.reader_patience
        self.bury(appid, fingerprint)

    def rejection(self, appid: str) -> tuple[str | None, float]:
        """Return the fingerprint of the token that WeChat refused just now, and until when to wait for another."""
        now = self._clock()
        rejection = self._rejected.get(appid)
        return rejection if rejection and now < rejection[1] else (None, now)

    def absolve(self, appid: str) -> None:
        """Forget that a token was refused: it was tested, and works."""
        self._rejected.pop(appid, None)

    # Waiting

    def note_in_vain(self, appid: str) -> None:
        """Remember that waiting for a token of this account brought nothing."""
        self._in_vain[appid] = self._clock() + self._durations.reader_patience

    def in_vain(self, appid: str) -> bool:
        """Say whether one waited in vain so lately that it is not worth another wait."""
        return self._clock() < self._in_vain.get(appid, 0)
