"""Our Lua scripts and the commands beside them: how they are loaded, sent together, and mended."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeVar

import redis

from tokenworker.store.connect import Client, exchange
from tokenworker.store.exchange import Patience, Words
from tokenworker.store.refusals import translated

logger = logging.getLogger(__name__)

T = TypeVar("T")

_INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)

#: The types of our keys, by the last part of their names; all others are strings.
_TYPES = {
    **dict.fromkeys(("state", "copies", "names", "counts", "clients"), "hash"),
    **dict.fromkeys(("due", "running", "waiting", "workers"), "zset"),
    "history": "list",
}


@dataclass(frozen=True)
class Call:
    """A script with its keys and arguments."""

    script: str
    keys: Sequence[str]
    args: Sequence[Any] = ()


@dataclass(frozen=True)
class Command:
    """A plain command whose first argument is its key."""

    words: tuple[Any, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Its one key."""
        return (self.words[1],)


@dataclass(frozen=True)
class Keyless(Command):
    """A plain command about the server; after others, about the one that has their keys."""

    @property
    def keys(self) -> tuple[str, ...]:
        """None."""
        return ()


@cache
def source(name: str) -> str:
    """Return the text of a script, with the files that it includes."""
    text = files("tokenworker.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: source(found[1]), text)


@cache
def digest(script: str) -> str:
    """Return what names a script to Redis; it protects nothing."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """Runs scripts and commands; every method may raise `StoreUnavailable`."""

    def __init__(self, client: Client, patience: Patience | None = None) -> None:
        self._exchange = exchange(client, patience or Patience())

    def source(self, name: str) -> str:
        """Return the text of a script."""
        return source(name)

    def run(self, name: str, keys: Iterable[str], *args: Any) -> Any:
        """Run one script and return its result."""
        return self.together(Call(name, tuple(keys), args))[0]

    def command(self, *words: Any) -> Any:
        """Do one plain command; its second word is its key."""
        return self.together(Command(words))[0]

    def together(self, *steps: Call | Command) -> list[Any]:
        """Do several things in one round trip, in their order, and return what each answers.

        May do all of it twice: after scripts were loaded, or keys mended. So each step must bear that.
        """
        keys = [key for step in steps for key in step.keys]
        return self.mended(lambda: self._send(steps), *keys)

    def answers(self, *steps: Call | Command) -> list[Any]:
        """Return what each of several steps answers, as `together`; an error where one is refused."""
        with translated():
            answers = self._exchange.ask([self._words(step, "EVAL") for step in steps])
        return [self._parsed(step, answer) for step, answer in zip(steps, answers, strict=True)]

    def everywhere(self, step: Command) -> list[Any]:
        """Return what each server answers that takes writes: one, or several in a cluster; an error where refused."""
        with translated():
            answers = self._exchange.ask_everywhere(step.words)
        return [self._parsed(step, answer) for answer in answers]

    def _send(self, steps: Sequence[Call | Command]) -> list[Any]:
        try:
            return self._try(steps, "EVALSHA")
        except redis.exceptions.NoScriptError:
            return self._try(steps, "EVAL")  # which has the server know them from now on

    def _try(self, steps: Sequence[Call | Command], by: str) -> list[Any]:
        answers = self._exchange.ask([self._words(step, by) for step in steps])
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [self._parsed(step, answer) for step, answer in zip(steps, answers, strict=True)]

    def _parsed(self, step: Call | Command, answer: Any) -> Any:
        """Return the answer to a plain command as redis-py does: the protocols differ in how they write some."""
        if isinstance(step, Call) or isinstance(answer, Exception):
            return answer
        parse = self._exchange.parsers.get(step.words[0])
        return parse(answer) if parse else answer

    def _words(self, step: Call | Command, by: str) -> Words:
        if isinstance(step, Command):
            return step.words
        script = self.source(step.script)
        named = digest(script) if by == "EVALSHA" else script
        return by, named, len(step.keys), *step.keys, *step.args

    def mended(self, do: Callable[[], T], *keys: str) -> T:
        """Do something with our `keys`; where one holds another type, it goes first: somebody else wrote there."""
        with translated():
            try:
                return do()
            except redis.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
            found = self._send([Call("mend", (key,), (_type_of(key),)) for key in keys])
            gone = [text(name) for names in found for name in names]
            logger.error("somebody else wrote under our keys; removed: %s", ", ".join(gone))
            return do()

    def close(self) -> None:
        """Close the connections to Redis."""
        self._exchange.close()


def text(value: bytes) -> str:
    """Return what Redis answers as a text, whatever its bytes."""
    return value.decode("utf-8", "surrogateescape")


def readable(value: bytes) -> str:
    """Return what Redis answers as a text for people: what is no UTF-8 shows as such."""
    return value.decode("utf-8", "replace")


def hidden(value: str) -> memoryview:
    """Return an argument that shows nothing: error trackers and tracers record commands."""
    return memoryview(value.encode("utf-8", "surrogateescape"))


def _type_of(key: str) -> str:
    return _TYPES.get(key.rpartition(":")[2], "string")
