"""WeCom's path for tokens, as `wechat` has WeChat's."""

from __future__ import annotations

from tokenworker.credential import ACCESS_TOKEN
from tokenworker.web.kept import HASTE
from tokenworker.web.wechat.refusals import Refusal
from tokenworker.web.wechat.shaped import Shaped


class WeComToken(Shaped):
    """WeCom's `GET /cgi-bin/gettoken`."""

    wecom = True

    async def get(self) -> None:
        """Hand out the token of the application that the key opens."""
        given = {name: self.get_query_argument(name, "") for name in ("corpid", "corpsecret")}
        self.check(given, ("corpsecret", 41004), ("corpid", 41002))
        client, id_ = await self.meant("read", await self._application(given["corpid"]), ACCESS_TOKEN)
        self.write_token(id_, await self.read(id_))
        self.count(client.name, "reads")

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


routes = [("/cgi-bin/gettoken", WeComToken)]
