"""``python -m tokenworker.cli``: the same as the command ``tokenworker``."""

from tokenworker.cli.commands import main

main()
