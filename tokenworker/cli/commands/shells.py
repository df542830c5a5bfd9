"""The command that teaches a shell about all others."""

from __future__ import annotations

import click

from tokenworker.cli.commands.group import main
from tokenworker.cli.completion import SHELLS, script


@main.command(
    short_help="Commands and accounts on Tab, for your shell.",
    examples={
        'eval "$(tokenworker completion bash)"': "In ~/.bashrc.",
        'eval "$(tokenworker completion zsh)"': "In ~/.zshrc, after compinit.",
        "tokenworker completion fish | source": "In ~/.config/fish/config.fish.",
    },
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what a shell runs in order to complete commands, options and accounts on Tab."""
    click.echo(script(main, shell))
