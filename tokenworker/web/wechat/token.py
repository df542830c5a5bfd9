"""WeChat's own paths for tokens, with a client's key for the secret: an SDK only gets another address."""

from __future__ import annotations

from typing import Any

from tokenworker.credential import ACCESS_TOKEN
from tokenworker.web.problems import Problem
from tokenworker.web.wechat.shaped import Shaped


class Token(Shaped):
    """`GET /cgi-bin/token`."""

    async def get(self) -> None:
        """Hand out the account's token; nothing is fetched."""
        given = {name: self.get_query_argument(name, "") for name in ("appid", "grant_type", "secret")}
        self.check(given, ("appid", 41002), ("grant_type", 40002), ("secret", 41004))
        client, id_ = await self.meant("read", given["appid"], ACCESS_TOKEN)
        self.write_token(id_, await self.read(id_))
        self.count(client.name, "reads")


class StableToken(Shaped):
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
        client, id_ = await self.meant("read", given["appid"], ACCESS_TOKEN)
        if self._sent().get("force_refresh") is True:
            client, id_ = await self.meant("report", given["appid"], ACCESS_TOKEN)
            await self.report(client, id_, (await self.read(id_)).fingerprint)
        self.write_token(id_, await self.read(id_))
        self.count(client.name, "reads")

    def _given(self, name: str) -> str:
        found = self._sent().get(name)
        return found if isinstance(found, str) else ""

    def _sent(self) -> dict[str, Any]:
        try:
            return self.body()
        except Problem:
            # WeChat reads nothing but JSON, and says then what it misses.
            return {}


routes = [("/cgi-bin/token", Token), ("/cgi-bin/stable_token", StableToken)]
