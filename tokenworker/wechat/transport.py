"""HTTP with a hard deadline, by requests and urllib3.

The timeouts of requests bound each read, not the whole: a server that sends one byte now and then holds a
call for ever. So each call runs in a thread of its own, its caller waits until the deadline and not longer,
and then the connection is shut; a thread that is still connecting by then never sends.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException, IncompleteRead
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from tokenworker.errors import NetworkError
from tokenworker.redaction import redact_urllib3
from tokenworker.secret import Secret
from tokenworker.wechat.veil import Veil

#: The longest answer that is read, in bytes: WeChat's to our calls have less than 2 KB.
MAX_BODY = 64 * 1024

#: A pooled connection that was idle for longer, in seconds, may be dead without a sign: WeChat closes it some time.
_MAX_IDLE = 15.0

#: Seconds that one address of a host gets to take the connection, so that the next one gets its turn.
_CONNECT_TIMEOUT = 3.0

#: So many connections to a host are kept; those beyond are closed with a warning.
_POOL_SIZE = 64

_CUT_OFF = "the answer was cut off"

#: What a call sends; a `Secret` among them stays one until it is sent.
_Values = Mapping[str, object] | None

_running = threading.local()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `body` holds a credential, so it has no repr."""

    status: int
    body: bytes = field(repr=False)


class _Call:
    """One call under way, in a thread of its own: whether its request has left, and how to end it."""

    def __init__(self, exchange: Callable[[], Answer]) -> None:
        self.sent = False
        self._exchange = exchange
        self._outcome: list[Answer | str] = []
        self._lock = threading.Lock()
        self._over = False
        self._handle: socket.socket | None = None

    def answer_within(self, timeout: float, connect_timeout: float) -> Answer | str:
        """Return the answer, or else the reason why there is none."""
        deadline = time.monotonic() + timeout
        thread = threading.Thread(target=self._run, name="tokenworker-fetch", daemon=True)
        thread.start()
        try:
            thread.join(connect_timeout)
            if self.sent:
                thread.join(max(0.0, deadline - time.monotonic()))
            return self._outcome[0] if self._outcome else f"no answer within {timeout:.3g} s"
        finally:
            self._give_up()

    def _run(self) -> None:
        _running.call = self
        try:
            self._outcome.append(self._exchange())
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            self._outcome.append(_reason(error))
        except Exception as error:  # noqa: BLE001  a thread's exception would be printed, with the URL in it
            self._outcome.append(f"the call failed: {type(error).__name__}")
        finally:
            self.let_go()

    def connected(self, sock: Any) -> None:
        """Take a handle of our own: TLS takes the first one over, and `Connection: close` forgets it."""
        self.let_go()
        with self._lock:
            self._handle = socket.socket(fileno=os.dup(sock.fileno()))
            if self._over:
                _shut(self._handle)

    def sending(self) -> None:
        """Let the request leave, unless nobody waits for its answer any more."""
        with self._lock:
            if self._over:
                raise TimeoutError("too late to send")
            self.sent = True

    def let_go(self) -> None:
        """Leave the connection alone: from now on it may be another call's."""
        with self._lock:
            if self._handle:
                self._handle.close()
            self._handle = None

    def _give_up(self) -> None:
        """Make the thread end, whatever it waits for; one that has its answer has let go."""
        with self._lock:
            self._over = True
            if self._handle:
                _shut(self._handle)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


class _Watched:
    """What our connections add to urllib3's: they tell their call what they do, and are not idle for long."""

    # Python's http.client prints whole requests, bodies too, when someone raises this.
    debuglevel = 0
    sock: Any
    _used_at = 0.0
    _used_by = 0

    @property
    def is_connected(self) -> bool:
        idle = time.monotonic() - self._used_at
        # After a fork parent and child would read each other's answers.
        mine = self._used_by == os.getpid()
        return mine and idle < _MAX_IDLE and bool(super().is_connected)  # type: ignore[misc]

    def _new_conn(self) -> Any:
        sock = super()._new_conn()  # type: ignore[misc]
        _running.call.connected(sock)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]
        _running.call.connected(self.sock)
        _running.call.sending()
        self._used_at, self._used_by = time.monotonic(), os.getpid()
        super().request(*args, **kwargs)  # type: ignore[misc]


class _HTTPConnection(_Watched, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Watched, urllib3.connection.HTTPSConnection):
    pass


class _WatchedPool:
    def _put_conn(self, conn: Any) -> None:
        _running.call.let_go()
        super()._put_conn(conn)  # type: ignore[misc]


class _HTTPPool(_WatchedPool, urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(_WatchedPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """See no redirect anywhere: even where it follows none, requests reads the whole body of one."""


class Transport:
    """Makes HTTP calls that end in time; safe to share between threads.

    No redirects (they would carry the AppSecret to another host), no proxy but `proxy` (the environment's
    would see it), no cookies, no compression, TLS always verified, no retries.
    """

    def __init__(self, proxy: str | None = None) -> None:
        self._session = _Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"User-Agent": "tokenworker", "Accept-Encoding": "identity"})
        if proxy:
            self._session.proxies = {"http": proxy, "https": proxy}
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=_POOL_SIZE, max_retries=0))

    def call(
        self,
        method: str,
        url: str,
        *,
        timeout: float,
        connect_timeout: float | None = None,
        params: _Values = None,
        json: _Values = None,
    ) -> Answer:
        """Make one call and return its answer within `timeout` seconds, name lookup to last byte.

        Either the request leaves within `connect_timeout` seconds, or it never does. Raises `NetworkError`
        when there is no answer, or one of more than 64 KB; it is ambiguous when the request had left.
        """
        connect = timeout if connect_timeout is None else min(timeout, connect_timeout)
        # The deadline ends a read, not the read's own timeout, which is for the case that shutting fails.
        waits = (min(connect, _CONNECT_TIMEOUT), 2 * timeout)
        call = _Call(partial(self._exchange, method, url, waits, params, json))
        result = call.answer_within(timeout, connect)
        if isinstance(result, Answer):
            return result
        raise NetworkError(result, ambiguous=call.sent)

    def _exchange(self, method: str, url: str, waits: tuple[float, float], params: _Values, json: _Values) -> Answer:
        veils = {name: Veil(value) for name, value in (params or {}).items() if isinstance(value, Secret)}
        shown: Any = {**(params or {}), **{name: veil.stand_in for name, veil in veils.items()}}
        with self._session.request(
            method, url, params=shown, json=_revealed(json), timeout=waits, stream=True
        ) as response:
            return Answer(response.status_code, _body(response.raw))


def _revealed(values: _Values) -> dict[str, Any] | None:
    """Return the values with secrets revealed: late, since error trackers show the local variables of callers."""
    if values is None:
        return None
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in values.items()}


def _body(raw: Any) -> bytes:
    body: bytes = raw.read(MAX_BODY + 1, decode_content=False)
    if len(body) > MAX_BODY:
        raise OSError(f"the answer has more than {MAX_BODY // 1024} KB")
    # http.client takes the end of the connection for the end of the answer.
    if raw.length_remaining:
        raise OSError(_CUT_OFF)
    return body


def _reason(error: BaseException) -> str:
    """Return what failed, from the innermost exception: the outer ones show the URL, and so the AppSecret."""
    what = _describe(_innermost(error))
    return f"the proxy: {what}" if isinstance(error, requests.exceptions.ProxyError) else what


def _describe(root: BaseException) -> str:
    if isinstance(root, socket.gaierror):
        return "the host's name can't be resolved"
    if isinstance(root, ssl.SSLError):
        return f"TLS failed: {getattr(root, 'verify_message', '') or root.reason or 'no details'}"
    if isinstance(root, TimeoutError):
        return "it timed out"
    if isinstance(root, OSError) and not isinstance(root, requests.RequestException):
        return str(root.strerror or (root.args[0] if root.args else "") or type(root).__name__)
    if isinstance(root, IncompleteRead):
        return _CUT_OFF
    return "what came back is no HTTP" if isinstance(root, HTTPException) else type(root).__name__


def _innermost(error: BaseException) -> BaseException:
    """Return the error that caused this one; urllib3 and requests pass some as arguments, without raising them."""
    while inner := [item for item in (error.__cause__, *error.args) if isinstance(item, BaseException)]:
        error = inner[0]
    return error


redact_urllib3()
