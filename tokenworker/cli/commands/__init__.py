"""The command line: ``tokenworker up | status | events | get | sign | refresh | leak | check | web | …``."""

from tokenworker.cli.interruption import silent

# Who presses Ctrl-C at once wants no traceback of what is being imported.
with silent():
    from tokenworker.cli.commands import looking, running, shells, using
    from tokenworker.cli.commands.group import main

__all__ = ["looking", "main", "running", "shells", "using"]
