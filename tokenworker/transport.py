"""HTTP with a hard deadline: the only file that knows requests and urllib3.

The timeouts of requests bound each read, not the whole: a server that sends one byte now and then holds a
call for ever. So each call runs in a thread of its own, its caller waits until the deadline and not longer,
and then the socket is shut; a thread that is still connecting by then never sends.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from tokenworker.errors import NetworkError

#: WeChat's answers to a keeper of tokens have less than 2 KB.
MAX_BODY = 64 * 1024

#: A pooled connection that rested longer may be dead without a sign; WeChat's side closes it some time.
_MAX_IDLE = 15.0

#: Connecting takes no longer than this, so that a host that is away leaves time for the next one.
_CONNECT_TIMEOUT = 3.0

_running = threading.local()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` holds a token, so it has no repr."""

    status: int
    body: bytes = field(repr=False)


class _Call:
    """One call under way: whether its time is up, and whether the request has left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._connection: Any = None
        self.sent = False

    def connecting(self, connection: Any) -> None:
        self._connection = connection

    def sending(self, connection: Any) -> None:
        """Let the request leave, unless nobody waits for its answer any more."""
        with self._lock:
            if self._over:
                raise TimeoutError("too late to send")
            self._connection = connection
            self.sent = True

    def give_up(self) -> None:
        with self._lock:
            self._over = True
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Watched:
    """What our connections add to urllib3's: they tell their call what they do, and don't rest for long."""

    # Python's http.client prints whole requests, bodies too, when someone raises this.
    debuglevel = 0
    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        rested = time.monotonic() - self._used_at
        return rested < _MAX_IDLE and bool(super().is_connected)  # type: ignore[misc]

    def connect(self) -> None:
        _running.call.connecting(self)
        super().connect()  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:  # type: ignore[attr-defined]
            self.connect()
        _running.call.sending(self)
        self._used_at = time.monotonic()
        super().send(data)  # type: ignore[misc]


class _HTTPConnection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager


class Transport:
    """Makes HTTP calls that end in time; safe to share between threads.

    No redirects (they would carry the AppSecret to another host), no proxy but `proxy` (the environment's
    would see it), no cookies, no compression, TLS always verified, no retries.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"User-Agent": "tokenworker", "Accept-Encoding": "identity"})
        if proxy:
            self._session.proxies = {"http": proxy, "https": proxy}
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(max_retries=0))

    def call(
        self,
        method: str,
        url: str,
        *,
        timeout: float,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> Answer:
        """Make one call and return its answer within `timeout` seconds, connect to last byte.

        Raises `NetworkError` when there is none, or one of more than 64 KB; it is ambiguous when the request
        had left.
        """
        call = _Call()
        outcome: list[Answer | str] = []
        arguments = {"method": method, "url": url, "params": params, "json": json, "timeout": timeout}
        thread = threading.Thread(
            target=self._run, args=(call, arguments, outcome), name="tokenworker-fetch", daemon=True
        )
        thread.start()
        thread.join(timeout)
        if not outcome:
            call.give_up()
            outcome.append(f"no answer within {timeout:g} s")
        if isinstance(outcome[0], Answer):
            return outcome[0]
        raise NetworkError(outcome[0], ambiguous=call.sent)

    def _run(self, call: _Call, arguments: Mapping[str, Any], outcome: list[Answer | str]) -> None:
        _running.call = call
        try:
            outcome.append(self._exchange(**arguments))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            outcome.append(_reason(error))
        except Exception as error:  # noqa: BLE001  a thread's exception would be printed, with the URL in it
            outcome.append(f"the call failed: {type(error).__name__}")

    def _exchange(self, method: str, url: str, timeout: float, **content: Any) -> Answer:
        with self._session.request(
            method,
            url,
            timeout=(min(timeout, _CONNECT_TIMEOUT), timeout),
            allow_redirects=False,
            stream=True,
            **content,
        ) as response:
            body = response.raw.read(MAX_BODY + 1, decode_content=False)
            if len(body) > MAX_BODY:
                response.raw.close()
                raise OSError(f"the answer has more than {MAX_BODY // 1024} KB")
            return Answer(response.status_code, body)


def _reason(error: BaseException) -> str:
    """Say what failed, from the innermost exception: the outer ones show the URL, and so the AppSecret."""
    root = _innermost(error)
    if isinstance(root, urllib3.exceptions.NameResolutionError | socket.gaierror):
        return "the host's name can't be resolved"
    if isinstance(root, urllib3.exceptions.SSLError) or type(root).__module__ == "ssl":
        return f"TLS failed: {getattr(root, 'verify_message', '') or getattr(root, 'reason', '') or 'no details'}"
    if isinstance(root, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError):
        return "it timed out"
    if isinstance(root, urllib3.exceptions.IncompleteRead):
        return "the answer was cut off"
    if isinstance(root, OSError) and not isinstance(root, requests.RequestException):
        return str(root.strerror or (root.args[0] if root.args else "") or type(root).__name__)
    return type(root).__name__


def _innermost(error: BaseException) -> BaseException:
    while True:
        reason = getattr(error, "reason", None)
        inner = [item for item in (reason, *error.args) if isinstance(item, BaseException)]
        if not inner:
            return error
        error = inner[0]


class _Redaction(logging.Filter):
    """Takes secrets and tokens out of what urllib3 logs; a filter, since it must hold at every level."""

    _SECRET = re.compile(r"((?:secret|access_token)=)[^&\s'\"]+")

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if self._SECRET.search(message):
            record.msg, record.args = self._SECRET.sub(r"\1***", message), ()
            record.exc_info = record.exc_text = None
        return True


# A filter of a logger sees only what is logged at that very logger, so each of urllib3's gets it.
for _name in ("connectionpool", "connection", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_Redaction())
