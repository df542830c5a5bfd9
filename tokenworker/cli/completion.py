"""What a shell offers when somebody presses Tab: commands, options, and the accounts that are kept in Redis."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress

import click
from click.shell_completion import CompletionItem, get_completion_class

from tokenworker.credential import CredentialId
from tokenworker.settings.config import Config, read_dotenv
from tokenworker.store.connect import connect
from tokenworker.store.exchange import Patience
from tokenworker.store.scripts import Scripts
from tokenworker.store.store import Store

SHELLS = ("bash", "zsh", "fish")

#: Seconds that somebody who pressed Tab waits for Redis at most.
_PATIENCE = 0.5
#: A list that nobody reads costs time.
_MOST = 200
#: What a shell takes as one word, whatever is in it.
_WORD = re.compile(r"[\w.@+/-]+")


class AccountType(click.ParamType):  # type: ignore[type-arg]  # no generic class in older clicks
    """The id or the name of an account."""

    name = "account"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the accounts that begin so, each with its other name; nothing where they can't be had at once."""
        with suppress(Exception):  # whatever it is, it would be printed into the line that is being typed
            return [CompletionItem(word, help=remark) for word, remark in _accounts(incomplete)][:_MOST]
        return []


class CredentialType(click.ParamType):  # type: ignore[type-arg]
    """Which of an account's credentials, such as jsapi_ticket."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names of what is kept that begin so; nothing where they can't be had at once."""
        with suppress(Exception):
            found = {id_.name for id_ in _kept()[0]}
            return [CompletionItem(name) for name in sorted(found) if name.startswith(incomplete)]
        return []


def script(command: click.Command, shell: str) -> str:
    """Return what a shell has to run in order to complete our commands."""
    kind = get_completion_class(shell)
    if kind is None:
        raise LookupError(shell)
    return kind(command, {}, "tokenworker", "_TOKENWORKER_COMPLETE").source()


def _kept() -> tuple[list[CredentialId], dict[str, str]]:
    """Return all that is kept, and what people call the accounts."""
    read_dotenv()
    config = Config.from_env()
    client = connect(config.redis_url, timeout=_PATIENCE)
    with closing(Store(client, config.prefix, Scripts(client, Patience(_PATIENCE, _PATIENCE, 1)))) as store:
        return store.schedule.ids(), store.notes.names()


def _accounts(beginning: str) -> Iterator[tuple[str, str | None]]:
    ids, names = _kept()
    for account in dict.fromkeys(id_.account for id_ in ids):
        name = names.get(account)
        words = [(account, name), (name, account)]
        yield from ((word, other) for word, other in words if word and _fits(word, beginning))


def _fits(word: str, beginning: str) -> bool:
    return word.startswith(beginning) and _WORD.fullmatch(word) is not None
