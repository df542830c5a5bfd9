"""Calls in the shape of WeChat's and WeCom's: how their answers and refusals look, and where the key stands."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from tokenworker.credential import Credential, CredentialId
from tokenworker.web.asking import Asking
from tokenworker.web.problems import Problem, problem_of
from tokenworker.web.wechat.refusals import Refusal, refusal_of

#: What stands before most answers.
OK = {"errcode": 0, "errmsg": "ok"}


class Shaped(Asking):
    """A call that is answered as WeChat does: with HTTP status 200 and an errcode."""

    wecom: ClassVar[bool] = False
    headers: ClassVar[dict[str, str]] = {**Asking.headers, "Content-Type": "application/json; encoding=utf-8"}
    #: The errcodes of the other method, and of what is not kept here.
    wrong_method: ClassVar[int] = 43001
    absent: ClassVar[int] = 40013

    @property
    def key(self) -> str:
        """The key, which stands where WeChat has the secret."""
        return self.get_query_argument("corpsecret" if self.wecom else "secret", "")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with an errcode."""
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else Problem(status_code, "")
        refusal = error if isinstance(error, Refusal) else self._refused(problem_of(error))
        self.set_status(HTTPStatus.OK)
        errmsg = refusal.wecom(self.request.remote_ip or "") if self.wecom else refusal.wechat()
        self.write_json({"errcode": refusal.errcode, "errmsg": errmsg})
        self.finish()

    def _refused(self, problem: Problem) -> Refusal:
        if problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return Refusal(self.wrong_method)
        if problem.status_code == HTTPStatus.NOT_FOUND:
            return Refusal(self.absent, problem.detail)
        return refusal_of(problem, wecom=self.wecom)

    def write_token(self, id_: CredentialId, found: Credential) -> None:
        """Answer with a token; only WeCom says that all is well."""
        ok = OK if self.wecom else {}
        self.write_json({**ok, "access_token": found.value, "expires_in": self.left(id_, found)})

    def check(self, given: dict[str, Any], *fields: tuple[str, int]) -> None:
        """Raise the refusal of a call that lacks one of these, each with its errcode, in their order."""
        for name, errcode in fields:
            if not given.get(name):
                raise Refusal(errcode)
            if name == "grant_type" and given[name] != "client_credential":
                raise Refusal(errcode)
