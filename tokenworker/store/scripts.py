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

from tokenworker.store.connect import translated

logger = logging.getLogger(__name__)

T = TypeVar("T")

_INCLUDE = re.compile(r'^--- @include "(\w+)"\n', re.MULTILINE)

#: The types of our keys, by the last part of their names; all others are strings.
_TYPES = {"state": "hash", "copies": "hash", "names": "hash", "due": "zset", "running": "zset", "waiting": "zset"}


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
    def keys(self) -> tuple[str]:
        """Its one key."""
        return (self.words[1],)


@cache
def source(name: str) -> str:
    """Return the text of a script, with the files that it includes."""
    text = files("tokenworker.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: source(found[1]), text)


class Scripts:
    """Runs scripts and commands; every method may raise `StoreUnavailable`."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

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

    def _send(self, steps: Sequence[Call | Command]) -> list[Any]:
        try:
            return self._try(steps)
        except redis.exceptions.NoScriptError:
            for name in {step.script for step in steps if isinstance(step, Call)}:
                self.client.script_load(self.source(name))
        return self._try(steps)

    def _try(self, steps: Sequence[Call | Command]) -> list[Any]:
        client: Any = self.client  # redis-py gives this method no types
        words = [self._words(step) for step in steps]
        if len(words) == 1:
            return [client.execute_command(*words[0])]
        pipe: Any = client.pipeline(transaction=False)
        for each in words:
            pipe.execute_command(*each)
        # Raised here and not by the pipeline, whose errors show the command.
        answers: list[Any] = pipe.execute(raise_on_error=False)
        for error in answers:
            if isinstance(error, Exception):
                raise error
        return answers

    def _words(self, step: Call | Command) -> tuple[Any, ...]:
        if isinstance(step, Command):
            return step.words
        # The digest names the script, and protects nothing.
        digest = sha1(self.source(step.script).encode(), usedforsecurity=False).hexdigest()
        return "EVALSHA", digest, len(step.keys), *step.keys, *step.args

    def mended(self, do: Callable[[], T], *keys: str) -> T:
        """Do something with our `keys`; where one holds another type, it goes first: somebody else wrote there."""
        with translated():
            try:
                return do()
            except redis.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
            gone = self._send([Call("mend", keys, [_type_of(key) for key in keys])])[0]
            logger.error("somebody else wrote under our keys; removed: %s", ", ".join(map(text, gone)))
            return do()


def text(value: bytes) -> str:
    """Return what Redis answers as a text, whatever its bytes."""
    return value.decode("utf-8", "surrogateescape")


def hidden(value: str) -> memoryview:
    """Return an argument that shows nothing: error trackers and tracers record commands."""
    return memoryview(value.encode("utf-8", "surrogateescape"))


def _type_of(key: str) -> str:
    return _TYPES.get(key.rpartition(":")[2], "string")
