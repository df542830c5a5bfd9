"""Flower as it comes with tokenworker: its options, which it takes from variables that begin with FLOWER_."""

from __future__ import annotations

import re
import tempfile
from collections.abc import MutableMapping
from difflib import get_close_matches
from pathlib import Path

_DEFAULTS = {
    # First what a narrow screen must show; the UUID leads to the task; behind the short what may be long.
    "FLOWER_TASKS_COLUMNS": "state,result,received,name,uuid,kwargs,retries,runtime,exception",
    "FLOWER_NATURAL_TIME": "True",
    # Flower by itself listens everywhere, and without a password whoever finds it may stop workers.
    "FLOWER_ADDRESS": "127.0.0.1",
    # What is kept is written once a minute, in milliseconds: a Flower that is killed loses no more.
    "FLOWER_STATE_SAVE_INTERVAL": "60000",
    # So many are written in a fifth of a second; Flower's own 100,000 would hold it up for seconds.
    "FLOWER_MAX_TASKS": "10000",
}

_AUTH, _PERSISTENT, _DB = "FLOWER_BASIC_AUTH", "FLOWER_PERSISTENT", "FLOWER_DB"
_YES, _NO = ("y", "yes", "t", "true", "on", "1"), ("n", "no", "f", "false", "off", "0")
#: Flower can't compare anything but ASCII, and takes commas for ends.
_LOGIN = re.compile(r"(?!['\"])[!-+\--9;-~]+:[!-+\--~]+")


def set_options(environ: MutableMapping[str, str]) -> None:
    """Set what nobody has set, and take out what is blank, and what Kubernetes sets for a service named flower."""
    for name in [name for name in environ if name.startswith("FLOWER_")]:
        # To Flower a blank login is one that nobody has.
        if not environ[name].strip() or environ[name].startswith("tcp://"):
            del environ[name]
    for name, value in _DEFAULTS.items():
        environ.setdefault(name, value)
    if _DB in environ:
        environ.setdefault(_PERSISTENT, "True")


def faults(environ: MutableMapping[str, str]) -> list[str]:
    """Return a sentence for each variable that Flower can't be started with, or that would leave it open or shut."""
    found = []
    if _AUTH in environ and not all(map(_LOGIN.fullmatch, environ[_AUTH].split(","))):
        found.append(
            f"{_AUTH} is no login: write user:password, several with commas, in ASCII without blanks and quotes"
        )
    found += [
        f"{name} is no variable of Flower's, so that everybody may look: write {_AUTH}"
        for name in environ
        if name != _AUTH and get_close_matches(name, [_AUTH], cutoff=0.85)
    ]
    if environ.get(_PERSISTENT, "1").lower() not in _YES + _NO:
        found.append(f"{_PERSISTENT} is neither yes nor no: write True or False")
    return found


def forgo_state(environ: MutableMapping[str, str]) -> str | None:
    """Have Flower keep nothing where it can't write, instead of ending; return a sentence that says so."""
    if environ.get(_PERSISTENT, "0").lower() not in _YES:
        return None
    file = Path(environ.get(_DB, "flower"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=file.parent) as trial:
            trial.write(b"0")
    except OSError as error:
        environ[_PERSISTENT] = "False"
        return (
            f"Flower forgets its tasks when it ends, since {file.parent.absolute()} can't be written:"
            f" {error.strerror}: let it be written to, or set {_DB} to a file elsewhere"
        )
    return None
