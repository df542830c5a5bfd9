"""The command line: ``tokenworker up | status | events | get | sign | refresh | leak | check | web | …``."""

from tokenworker.cli.commands import looking, running, shells, using
from tokenworker.cli.commands.group import main

__all__ = ["looking", "main", "running", "shells", "using"]
