"""Which account a command is about: by id or by name, or the only one that there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokenworker.redaction import masked

#: The most accounts that a sentence lists to choose from.
_LISTED = 5


class NothingChosen(Exception):  # noqa: N818  it states a fact
    """It is not clear which account is meant, or there is none; its text says what to do."""


@dataclass(frozen=True)
class Selection:
    """The accounts that can be chosen: those of the settings here, and those that are kept, each id with its name.

    `place` says where they are kept.
    """

    configured: Mapping[str, str]
    kept: Mapping[str, str]
    place: str

    def one(self, given: str | None = None) -> str:
        """Return the id that is meant by an id or a name, or the only one; raises `NothingChosen`."""
        if given is not None:
            return self._named(given)
        known = self.configured or self.kept
        if len(known) == 1:
            return next(iter(known))
        if not known:
            raise NothingChosen(self.nothing)
        raise NothingChosen(f"{_listed(known)}: say which one you mean, by its id or name")

    def find(self, given: str) -> str | None:
        """Return the id that is meant by an id or a name, if any; raises `NothingChosen` if two are."""
        # An account of the variables has no name here, but may have one in Redis.
        named = {id_: name for id_, name in self.configured.items() if name}
        known = {**self.configured, **self.kept, **named}
        text = _text(given)
        if text in known:
            return text
        found = {id_: name for id_, name in known.items() if name == text != ""}
        if len(found) > 1:
            raise NothingChosen(f"{_listed(found)}: that name is given twice, so write the id")
        return next(iter(found), None)

    @property
    def nothing(self) -> str:
        """The sentence for when no account is kept."""
        return (
            f"no account is kept here yet ({self.place}): does a worker run, with -Q tokenworker inside your own app?"
        )

    def _named(self, given: str) -> str:
        if found := self.find(given):
            return found
        if not self.kept:
            raise NothingChosen(self.nothing)
        raise NothingChosen(f"no account here has the id or the name {masked(_text(given))!r}: {_listed(self.kept)}")


def _text(given: str) -> str:
    """Read an argument as UTF-8 where the locale has no letters for it."""
    return given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _listed(accounts: Mapping[str, str]) -> str:
    listed = [f"{id_} ({name})" if name else id_ for id_, name in list(accounts.items())[:_LISTED]]
    more = len(accounts) - len(listed)
    there = "there is" if len(accounts) == 1 else f"there are {len(accounts)} accounts,"
    return f"{there} {', '.join(listed)}" + (f" and {more} more" if more else "")
