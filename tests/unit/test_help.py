"""Every command's help ends with examples, and all of them can be called so."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from tokenworker.cli.command import Command
from tokenworker.cli.commands import main


def commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], Command]]:
    assert isinstance(command, Command), path
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, *path, name)


ALL = list(commands(main))
EXAMPLES = [example for _, command in ALL for example in command.examples]


def words(example: str) -> list[str]:
    """Return the words of our command in a line for a shell."""
    words = shlex.split(example.replace('eval "$(', "").replace(')"', ""))
    ends = [words.index(word) for word in words if word in ("|", ">", ">>")]
    return words[: min(ends, default=None)]


@pytest.mark.parametrize(("path", "command"), ALL, ids=lambda it: "-".join(it) if isinstance(it, tuple) else "")
def test_every_command_has_examples_of_itself_and_help_shows_them(path: tuple[str, ...], command: Command) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"]).output

    assert command.examples
    assert all(words(example)[: len(path) + 1] == ["tokenworker", *path] for example in command.examples)
    assert all(example in shown for example in command.examples)
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_called(example: str) -> None:
    program, *rest = words(example)
    command: click.Command = main
    context = click.Context(main, info_name=program)
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    if rest[-1:] != ["--help"]:
        with command.make_context(command.name, rest, parent=context):
            pass


@pytest.mark.parametrize("path", [(), ("web",)], ids="-".join)
def test_the_help_of_several_commands_has_each_in_whole_words(path: tuple[str, ...]) -> None:
    assert "..." not in CliRunner().invoke(main, [*path, "--help"]).output.replace("[ARGS]...", "")


def test_the_help_of_the_whole_names_every_command() -> None:
    shown = CliRunner().invoke(main, ["--help"]).output

    assert [name for name in main.commands if f"\n  {name} " not in shown] == []
