"""WeChatAuth for requests: ``session.auth = WeChatAuth(reader, appid)``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import urllib3.exceptions
import urllib3.util.retry
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.auth import AuthBase
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from tokenworker.auth.calls import carries_token, hosts_of, may_refuse, refuses, with_token
from tokenworker.auth.repeats import repeats
from tokenworker.auth.replacing import replaced
from tokenworker.reading.reader import TokenReader
from tokenworker.redaction import redact_urllib3, redacted
from tokenworker.secret import Secret
from tokenworker.wechat.veil import Veil

logger = logging.getLogger("tokenworker.auth")


class WeChatAuth(AuthBase):
    """Puts the token of `appid` into calls to WeChat; safe to share between sessions and threads.

    When WeChat refuses the token, it is reported, and the call is made once more with the one in its place. If that
    is the same one, since a worker found that it works, this is done for one call in 5 s, as long as it helps.
    A call gets no token when its host is not among `hosts`, or when it names a token itself; `hosts` are those of
    WeChat or of WeCom, whosever account it is, unless others are given.
    Raises `TokenUnavailable`.
    """

    def __init__(self, reader: TokenReader, appid: str, hosts: Iterable[str] | None = None) -> None:
        self._reader = reader
        self._appid = appid
        self._hosts = hosts_of(appid, hosts)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Give a request its token."""
        url = urlsplit(request.url or "")
        if carries_token(url.scheme, url.hostname or "", url.path, url.query, self._hosts):
            _sign(request, self._reader.get_token(self._appid).access_token)
            request.hooks["response"].append(self._answered)
        return request

    def _answered(self, response: Response, **options: Any) -> Response:
        """Look at an answer, and replace it by another if it refuses the token."""
        request = response.request
        # Found by its veil and not by its class, since test doubles wrap requests. A redirect's request has none.
        veil = getattr(request, "veil", None)
        if not isinstance(veil, Veil) or not _refuses(response):
            return response
        access_token = replaced(self._reader, self._appid, veil.secret.reveal())
        if access_token is None or not _has_way_back(response) or not _is_repeatable(request):
            return response
        again = request.copy()
        _sign(again, access_token)
        answer = response.connection.send(again, **options)
        answer.history.append(response)
        if access_token == veil.secret.reveal() and _refuses(answer):
            repeats.give_up(self._appid, access_token)
        return answer


class _Signed(PreparedRequest):
    """A request with a token that its URL does not show.

    So the token is in no error that shows the URL, not in `response.url`, and follows no redirect.
    """

    veil: Veil

    @property
    def path_url(self) -> str:
        return with_token(super().path_url, self.veil.stand_in)


def _sign(request: PreparedRequest, access_token: str) -> None:
    # requests takes over what an auth object returns, but not its class.
    request.__class__ = _Signed
    request.__dict__["veil"] = Veil(Secret(access_token))


def _refuses(response: Response) -> bool:
    return may_refuse(response.headers) and refuses(response.content)


def _has_way_back(response: Response) -> bool:
    if isinstance(getattr(response, "connection", None), BaseAdapter):
        return True
    logger.warning("a call whose token WeChat refused is not made again: its adapter or test double can't be asked to")
    return False


def _is_repeatable(request: PreparedRequest) -> bool:
    """Make a body ready to be sent once more, if that can be done."""
    if request.body is None or isinstance(request.body, bytes | str):
        return True
    try:
        rewind_body(request)
    except (UnrewindableBodyError, OSError, ValueError):
        logger.warning("a call whose token WeChat refused is not made again: its body is a stream without a way back")
        return False
    return True


class _MaxRetryError(urllib3.exceptions.MaxRetryError):
    """Names the URL without the token in it."""

    def __init__(self, pool: Any, url: str | None, reason: Exception | None = None) -> None:
        super().__init__(pool, redacted(url or ""), reason)


# The one error of urllib3 with the URL in its text. An auth object has no say in errors: requests asks it before
# a call, and after an answer.
urllib3.util.retry.MaxRetryError = _MaxRetryError  # type: ignore[attr-defined]
redact_urllib3()
