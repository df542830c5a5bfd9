"""tokenworker keeps WeChat access tokens fresh.

Services in Python read them with `TokenReader`; importing this package brings in neither Celery nor requests.
"""

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
)
from tokenworker.reader import TokenReader
from tokenworker.tokens import AccessToken, fingerprint

__all__ = [
    "AccessToken",
    "ConfigError",
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
    "fingerprint",
]
