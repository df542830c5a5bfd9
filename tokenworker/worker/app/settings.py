"""Celery's settings for our own app: our defaults, what the environment says, the user's celeryconfig.py.

The file counts only when it is ours. Other apps have files of that name too, and a worker of ours may be started in
their folder: their queues, tasks and schedules are not ours to run.
"""

from __future__ import annotations

import difflib
import re
import runpy
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from celery.app.defaults import NAMESPACES, SETTING_KEYS, flatten

from tokenworker import celeryconfig
from tokenworker.errors import ConfigError
from tokenworker.messages import QUEUE, REFRESH_DUE_TOKENS
from tokenworker.settings.config import Config

USER_SETTINGS = Path("celeryconfig.py")

#: The line that makes a celeryconfig.py ours.
MARK = "from tokenworker.celeryconfig import *"

_BROKER, _RESULTS = "broker_url", "result_backend"
_VARIABLES = {_BROKER: "CELERY_BROKER_URL", _RESULTS: "CELERY_RESULT_BACKEND"}

_flattened: Any = flatten

_MODULES = ("tokenworker.worker.tasks", "tokenworker.worker.watchdog", "tokenworker.worker.app.heartbeat")

#: What makes this app itself. Another value would leave our queue, or open it to what is not ours.
_FIXED: dict[str, Any] = {
    "task_default_queue": QUEUE,
    "task_queues": None,
    "task_routes": None,
    "task_create_missing_queues": True,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": None,
    "task_always_eager": False,
    "task_ignore_result": False,
}


def settings(config: Config) -> dict[str, Any]:
    """Return Celery's settings by name; raises `ConfigError` for a celeryconfig.py of ours that can't be used."""
    user = _user_settings()
    tick = {
        "task": REFRESH_DUE_TOKENS,
        "schedule": config.durations.tick,
        "options": {"ignore_result": True, "queue": QUEUE},
    }
    derived = {
        "broker_url": config.broker_url,
        "result_backend": config.result_backend,
        "include": [*_MODULES, *_listed(user.pop("include", ()))],
    }
    schedule = {"beat_schedule": {**user.pop("beat_schedule", {}), REFRESH_DUE_TOKENS: tick}}
    found = _public(vars(celeryconfig)) | derived | _for_socket_file(config) | user | schedule
    completed = found | _for_its_places(found, config)
    faults = list(_nameless(completed))
    if faults:
        raise ConfigError(faults)
    return completed


def note() -> str | None:
    """Return a sentence about a celeryconfig.py here that is not read, since it is another app's; None if none is."""
    if not USER_SETTINGS.is_file() or _is_ours():
        return None
    return f"{USER_SETTINGS} in this folder is another app's and is not read; to make it ours, begin it with: {MARK}"


def _is_ours() -> bool:
    # Judged by its text: to run another app's file may start that app.
    try:
        text = USER_SETTINGS.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise ConfigError([f"{USER_SETTINGS}: can't be read: {error.strerror}"]) from None
    return re.search(rf"^{re.escape(MARK)}", text, re.MULTILINE) is not None


def _user_settings() -> dict[str, Any]:
    if not USER_SETTINGS.is_file() or not _is_ours():
        return {}
    user = _run()
    faults = list(_faults(user))
    if faults:
        raise ConfigError([f"{USER_SETTINGS}: {fault}" for fault in faults])
    return user


def _run() -> dict[str, Any]:
    try:
        return _public(runpy.run_path(str(USER_SETTINGS)))
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a user's file may raise
        what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
        raise ConfigError([f"{USER_SETTINGS}, line {_line(error)}: {what}"]) from None


def _line(error: BaseException) -> int | None:
    """Return the line of the user's file that failed."""
    if isinstance(error, SyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(USER_SETTINGS)), None)


def _faults(user: Mapping[str, Any]) -> Iterator[str]:
    old: dict[str, str] = dict(_flattened(NAMESPACES, keyfilter=_old_names))
    for name, value in user.items():
        right = old.get(name) or _near(name)
        if right:
            yield f"{name} is {'an old name' if name in old else 'no setting of Celery'}: write {right}"
        if name in _FIXED and value != _FIXED[name]:
            yield f"{name} can't be changed, for it makes tokenworker what it is: take it out"
    if not isinstance(user.get("beat_schedule", {}), dict):
        yield "beat_schedule must be a dict of entries"


def _near(name: str) -> str | None:
    """Return the setting that a name is meant for; others may be the user's own variables, or for a newer Celery."""
    if name in vars(celeryconfig):
        return None
    near = difflib.get_close_matches(name, SETTING_KEYS, n=1, cutoff=0.85)
    return near[0] if near and name not in SETTING_KEYS else None


def _old_names(namespace: str, key: str, option: Any) -> Iterator[tuple[str, str]]:
    """Yield the names that a setting had before Celery 4, or has in a Django project, with its name today."""
    new = namespace + key
    olds = {name.format(key) for name in option.old} | {new, f"celery_{new}"}
    yield from ((old.upper(), new) for old in olds)


def _listed(modules: Any) -> list[str]:
    return [modules] if isinstance(modules, str) else [name for name in modules if name not in _MODULES]


def _for_socket_file(config: Config) -> dict[str, Any]:
    """Return settings without keepalive where Redis is reached through a socket file: redis-py refuses it there."""
    changes: dict[str, Any] = {}
    if config.broker_url.startswith("redis+socket:"):
        options = celeryconfig.broker_transport_options
        changes["broker_transport_options"] = {key: options[key] for key in options if key != "socket_keepalive"}
    if config.result_backend.startswith("redis+socket:"):
        changes["redis_socket_keepalive"] = False
    return changes


def _for_its_places(found: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Return the settings that the broker and the result backend need, completed by what the user's file lacks."""
    changes: dict[str, Any] = {}
    for name, needs in config.celery.items():
        place, url = (_BROKER, config.broker_url) if name.startswith("broker") else (_RESULTS, config.result_backend)
        if found[place] == url:
            changes[name] = {**needs, **(found.get(name) or {})}
    return changes


def _nameless(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each URL with Sentinels in Celery's words where nobody says whom they are asked for."""
    for place, options in ((_BROKER, "broker_transport_options"), (_RESULTS, "result_backend_transport_options")):
        if str(found[place]).startswith("sentinel://") and not found[options].get("master_name"):
            yield (
                f"{_VARIABLES[place]} names Sentinels, but not whom to ask them for: write"
                f" sentinel://s1:26379,s2:26379/SERVICE, or set master_name in {options} of celeryconfig.py"
            )


def _public(names: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in a module, without its own names and what it imported."""
    return {name: value for name, value in names.items() if name[0] != "_" and not _imported(value)}


def _imported(value: object) -> bool:
    return callable(value) or isinstance(value, ModuleType)
