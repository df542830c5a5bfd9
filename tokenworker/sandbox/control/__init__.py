"""The sandbox's own calls, under /sandbox/: look at it, change it, switch faults."""

from tokenworker.sandbox.control import checks, holders, switches

ROUTES = (*holders.ROUTES, *checks.ROUTES, *switches.ROUTES)
