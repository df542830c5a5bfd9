"""The model's reader: the product's, but what it waits for does not come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tokenworker.credential import ACCESS_TOKEN, Credential, fingerprint
from tokenworker.durations import Durations
from tokenworker.reading.reader import TokenReader


class PatientReader(TokenReader):
    """Waits without taking time; asked again within `copy` seconds it does not look at Redis."""

    def __init__(self, url: str, clock: Callable[[], float], copy: float) -> None:
        self._waited = 0.0
        self._now = clock
        self._refused = ("", 0.0)
        self._durations = replace(Durations(), reader_copy=copy)
        super().__init__(url, durations=self._durations, clock=self._time)

    def reject(self, account: str, value: str, name: str = ACCESS_TOKEN) -> None:
        super().reject(account, value, name)
        self._refused = fingerprint(value), self._time() + self._durations.reader_patience

    def was_refused(self, token: Credential) -> bool:
        """Return whether WeChat refused the token so lately that another may be on its way."""
        name, until = self._refused
        return token.fingerprint == name and self._time() < until

    def absolve(self) -> None:
        """Forget what was refused: it was handed out again, with good reason."""
        self._refused = ("", 0.0)

    def _time(self) -> float:
        return self._now() + self._waited

    def _pause(self, seconds: float) -> None:
        self._waited += seconds
