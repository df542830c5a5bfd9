"""Commands whose help ends with examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

#: An example longer than this has its remark on the next line.
_LONGEST = 44


class Command(click.Command):
    """A command; `examples` are lines for a shell, each with what it does."""

    def __init__(self, *arguments: Any, examples: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples = dict(examples or {})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_dl(list(self.examples.items()), col_max=_LONGEST)
        super().format_epilog(ctx, formatter)


class Group(Command, click.Group):
    """Commands with examples, and groups of such."""

    command_class = Command
    group_class = type
