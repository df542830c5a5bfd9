"""Credentials in plain JSON: read one, and report one that WeChat refused."""

from __future__ import annotations

import re
from functools import lru_cache

from tokenworker.credential import Credential, CredentialId, fingerprint, looks_issued
from tokenworker.web.asking import Asking
from tokenworker.web.handler import encoded
from tokenworker.web.problems import Problem

_FINGERPRINT = re.compile(r"[0-9a-f]{16}", re.ASCII)


class One(Asking):
    """One credential of an account."""

    async def get(self, account: str, name: str) -> None:
        """Hand it out, unless the client has it already."""
        client, id_ = await self.meant("read", account, name)
        found = await self.read(id_)
        self.count(client.name, "reads")
        self.etag, text = _written(id_, found)
        self.write(f"{text}{self.left(id_, found)}}}")


@lru_cache(maxsize=1024)
def _written(id_: CredentialId, found: Credential) -> tuple[str, str]:
    """Return the ETag, and the answer up to the seconds that are left: made once, since all else stays as it is."""
    named = found.fingerprint
    answer = {"account": id_.account, "name": id_.name, "value": found.value, "fingerprint": named}
    return f'"{named}"', encoded({**answer, "expires_at": int(found.expires_at), "expires_in": 0}).removesuffix("0}")


class Reject(Asking):
    """A report of one that WeChat refused."""

    async def post(self, account: str, name: str) -> None:
        """Take it: a worker tests the credential, and replaces it if it is dead."""
        client, id_ = await self.meant("report", account, name)
        rejected = self._rejected()
        await self.report(client, id_, rejected)
        self.set_status(202)
        self.write_json({"account": id_.account, "name": id_.name, "rejected": rejected})

    def _rejected(self) -> str:
        given = self.body()
        named, value = given.get("fingerprint"), given.get("value")
        if isinstance(named, str) and _FINGERPRINT.fullmatch(named):
            return named
        if isinstance(value, str) and looks_issued(value):
            return fingerprint(value)
        raise Problem(
            400, 'say what WeChat refused: {"fingerprint": "…"}, the 16 hex digits of it, or {"value": "…"}, itself'
        )


#: An id of WeCom's holds a slash, which may stand as it is or as %2F.
_ONE = r"/v1/credentials/([^/]+(?:/[^/]+)?)/((?!reject$)[a-z0-9_]+)"
routes = [(_ONE, One), (f"{_ONE}/reject", Reject)]
