"""Our commands with every library's log at DEBUG, and an error tracker in the process."""

from __future__ import annotations

import logging

logging.basicConfig(level=logging.DEBUG)


from tokenworker.cli.commands import main  # noqa: E402

main()
