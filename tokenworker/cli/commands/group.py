"""The command ``tokenworker`` itself: its errors as sentences, and what all commands share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from tokenworker.cli.command import Group
from tokenworker.cli.completion import AccountType
from tokenworker.cli.kept import absence
from tokenworker.cli.selection import NothingChosen
from tokenworker.errors import StoreUnavailable, TokenWorkerError
from tokenworker.settings.config import read_dotenv

#: Of arguments and options that several commands have.
ACCOUNT = AccountType()
FILE = click.Path(path_type=Path)


class _Commands(Group):
    """Turns errors that have a sentence for people into that sentence and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StoreUnavailable as error:
            fail(absence() or str(error))
        except (TokenWorkerError, NothingChosen) as error:
            fail(str(error))
        except click.BadParameter as error:
            fail(error.format_message(), code=2)

    def main(self, *arguments: Any, **options: Any) -> Any:
        # Here, since --help and --version write before a command is invoked. That nobody reads on, click takes itself.
        try:
            return super().main(*arguments, **options)
        except OSError as error:
            _fail_to_write(error)


def fail(sentence: str, code: int = 1) -> NoReturn:
    """End with a sentence."""
    click.echo(sentence, err=True)
    sys.exit(code)


def _fail_to_write(error: OSError) -> NoReturn:
    # At our end Python would try once more to write what could not be written, and complain.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    fail(f"the system refuses: {error}")


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Have Ctrl-C be the usual end of what has no other."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


@contextmanager
def told(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors of a part that only some commands load into their sentence."""
    try:
        yield
    except kinds as error:
        fail(str(error))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples={
        "tokenworker up": "Everything on this machine, to try it out.",
        "tokenworker status": "How every credential is.",
        "tokenworker check": "What is wrong, and what to do about it.",
        "tokenworker status --help": "More on one command.",
    },
)
@click.version_option(package_name="tokenworker")
def main() -> None:
    """Keep WeChat access tokens fresh."""
    read_dotenv()
