"""How Flower shows our tasks: its options, which it takes from the environment."""

from __future__ import annotations

from collections.abc import MutableMapping

#: The columns: first what a narrow screen must show, and the cause of a failure, which may be long, behind the short.
_DEFAULTS = {
    "FLOWER_TASKS_COLUMNS": "state,result,received,name,kwargs,exception,runtime",
    "FLOWER_NATURAL_TIME": "True",
}


def set_options(environ: MutableMapping[str, str]) -> None:
    """Set what nobody has set, and take out what Kubernetes sets for a service that is named flower."""
    for name, value in _DEFAULTS.items():
        environ.setdefault(name, value)
    for name in ("FLOWER_PORT", "FLOWER_ADDRESS"):
        if environ.get(name, "").startswith("tcp://"):
            del environ[name]
