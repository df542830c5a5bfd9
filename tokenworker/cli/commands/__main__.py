"""``python -m tokenworker.cli.commands``: the same as the command ``tokenworker``."""

from tokenworker.cli.commands import main

main()
