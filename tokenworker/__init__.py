"""tokenworker keeps WeChat access tokens fresh.

Services in Python read them with `TokenReader` or `AsyncTokenReader`; neither brings in Celery or requests.
Each name is imported when it is first used, so that `import tokenworker` costs next to nothing.
"""

from importlib import import_module

# Type checkers know this name wherever it is defined; the module typing takes longer to import than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from tokenworker.credential import Credential, fingerprint
    from tokenworker.durations import Durations
    from tokenworker.errors import (
        ConfigError,
        DayLimit,
        FetchError,
        MalformedAnswer,
        MinuteLimit,
        NetworkError,
        OperatorError,
        StoreUnavailable,
        TokenUnavailable,
        TokenWorkerError,
        TransientError,
        UnknownAccount,
        UnknownCredential,
        WrongArgument,
    )
    from tokenworker.reading.async_reader import AsyncTokenReader
    from tokenworker.reading.reader import TokenReader

__all__ = [
    "AsyncTokenReader",
    "ConfigError",
    "Credential",
    "DayLimit",
    "Durations",
    "FetchError",
    "MalformedAnswer",
    "MinuteLimit",
    "NetworkError",
    "OperatorError",
    "StoreUnavailable",
    "TokenReader",
    "TokenUnavailable",
    "TokenWorkerError",
    "TransientError",
    "UnknownAccount",
    "UnknownCredential",
    "WrongArgument",
    "fingerprint",
]

_HOMES = {
    "Credential": "credential",
    "AsyncTokenReader": "reading.async_reader",
    "Durations": "durations",
    "TokenReader": "reading.reader",
    "fingerprint": "credential",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
