"""WeChat's own paths, and WeCom's, with a client's key for the secret: an SDK only gets another address."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId, fingerprint
from tokenworker.web.asking import Asking
from tokenworker.web.client import ANYBODY
from tokenworker.web.kept import HASTE
from tokenworker.web.problems import Problem, problem_of
from tokenworker.web.refusals import Refusal, refusal_of

_OK = {"errcode": 0, "errmsg": "ok"}


class _WeChat(Asking):
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
        ok = _OK if self.wecom else {}
        self.write_json({**ok, "access_token": found.value, "expires_in": self.left(id_, found)})

    def check(self, given: dict[str, Any], *fields: tuple[str, int]) -> None:
        """Raise the refusal of a call that lacks one of these, each with its errcode, in their order."""
        for name, errcode in fields:
            if not given.get(name):
                raise Refusal(errcode)
            if name == "grant_type" and given[name] != "client_credential":
                raise Refusal(errcode)


class Token(_WeChat):
    """`GET /cgi-bin/token`."""

    async def get(self) -> None:
        """Hand out the account's token; nothing is fetched."""
        given = {name: self.get_query_argument(name, "") for name in ("appid", "grant_type", "secret")}
        self.check(given, ("appid", 41002), ("grant_type", 40002), ("secret", 41004))
        client, id_ = self.meant("read", given["appid"], ACCESS_TOKEN)
        self.write_token(id_, await self.read(id_))
        self.count(client, "reads")


class StableToken(_WeChat):
    """`POST /cgi-bin/stable_token`."""

    wrong_method = 43002

    @property
    def key(self) -> str:
        """The key, which stands where WeChat has the secret."""
        return self._given("secret")

    async def post(self) -> None:
        """Hand out the account's token; a forced refresh is taken for a report of it, and no more."""
        given = {name: self._given(name) for name in ("appid", "grant_type", "secret")}
        self.check(given, ("appid", 41002), ("grant_type", 40002), ("secret", 41004))
        client, id_ = self.meant("read", given["appid"], ACCESS_TOKEN)
        if self._sent().get("force_refresh") is True:
            client, id_ = self.meant("report", given["appid"], ACCESS_TOKEN)
            await self.report(client, id_, (await self.read(id_)).fingerprint)
        self.write_token(id_, await self.read(id_))
        self.count(client, "reads")

    def _given(self, name: str) -> str:
        found = self._sent().get(name)
        return found if isinstance(found, str) else ""

    def _sent(self) -> dict[str, Any]:
        try:
            return self.body()
        except Problem:
            # WeChat reads nothing but JSON, and says then what it misses.
            return {}


class WeComToken(_WeChat):
    """WeCom's `GET /cgi-bin/gettoken`."""

    wecom = True

    async def get(self) -> None:
        """Hand out the token of the application that the key opens."""
        given = {name: self.get_query_argument(name, "") for name in ("corpid", "corpsecret")}
        self.check(given, ("corpsecret", 41004), ("corpid", 41002))
        client, id_ = self.meant("read", await self._application(given["corpid"]), ACCESS_TOKEN)
        self.write_token(id_, await self.read(id_))
        self.count(client, "reads")

    async def _application(self, corpid: str) -> str:
        """Return whose secret the key stands for: it tells the applications of a corp apart."""
        opened = self._opened(corpid)
        if not opened and "/" not in corpid:
            await self.held.kept.refresh(HASTE)
            opened = self._opened(corpid)
        if len(opened) > 1:
            raise Refusal(40013, "this key opens several applications of the corp: write CORPID/AGENT as corpid")
        return opened[0] if opened else corpid

    def _opened(self, corpid: str) -> list[str]:
        kept, client = self.held.kept, self.held.clients.of(self.key)
        return [id_ for id_ in kept.applications(corpid) if client.may_see(id_, kept.names.get(id_, ""))]


class _Ticket(_WeChat):
    """A call with an access token, which says whose ticket is meant, and that the caller may have it."""

    absent = 48001

    async def answer(self, name: str) -> None:
        """Hand out a ticket."""
        account = await self._owner(self.get_query_argument("access_token", ""))
        kept = self.held.kept
        if not self.held.clients.some_may_read(account, kept.names.get(account, ""), name):
            raise Refusal(self.absent, f"no client may read {name} of this account")
        id_ = CredentialId(account, name)
        found = await self.read(id_)
        self.write_json({**_OK, "ticket": found.value, "expires_in": self.left(id_, found)})
        self.held.tally.count("(token)" if self.held.clients.need_keys else ANYBODY.name, "reads")

    async def _owner(self, token: str) -> str:
        """Return the account whose token it is; raises the refusal of one that is nobody's, or not any more."""
        if not token:
            raise Refusal(41001)
        named, tokens = fingerprint(token), self.held.tokens
        account = await tokens.account(named)
        if account and ("/" in account) == self.wecom and await self._works(account, named):
            return account
        self.held.tally.count("(unknown)", "refusals")
        raise Refusal(40014 if self.wecom else 40001)

    async def _works(self, account: str, named: str) -> bool:
        if self.held.tokens.works_still(named):
            return True
        return (await self.read(CredentialId(account))).fingerprint == named


#: By WeChat's `type`; the last is for login in mobile apps.
_TYPES = {"jsapi": "jsapi_ticket", "wx_card": "wx_card_ticket", "2": "sdk_ticket"}


class Ticket(_Ticket):
    """`GET /cgi-bin/ticket/getticket`."""

    async def get(self) -> None:
        """Hand out the ticket of that type."""
        name = _TYPES.get(self.get_query_argument("type", ""))
        if name is None:
            raise Refusal(40097, f"type must be one of {', '.join(_TYPES)}")
        await self.answer(name)


class _WeComTicket(_Ticket):
    """WeCom's, which has errcodes of its own."""

    wecom = True
    absent = 48002


class CorpTicket(_WeComTicket):
    """WeCom's `GET /cgi-bin/get_jsapi_ticket`."""

    async def get(self) -> None:
        """Hand out the ticket for `wx.config`."""
        await self.answer("jsapi_ticket")


class AgentTicket(_WeComTicket):
    """WeCom's `GET /cgi-bin/ticket/get`."""

    async def get(self) -> None:
        """Hand out the ticket for `wx.agentConfig`."""
        if self.get_query_argument("type", "") != "agent_config":
            raise Refusal(40097, "type must be agent_config")
        await self.answer("agent_ticket")


routes = [
    ("/cgi-bin/token", Token),
    ("/cgi-bin/stable_token", StableToken),
    ("/cgi-bin/ticket/getticket", Ticket),
    ("/cgi-bin/gettoken", WeComToken),
    ("/cgi-bin/get_jsapi_ticket", CorpTicket),
    ("/cgi-bin/ticket/get", AgentTicket),
]
