"""Asking: what faces that hand out credentials have in common."""

from __future__ import annotations

import json
from typing import Any

from tokenworker.credential import ACCESS_TOKEN, Credential, CredentialId
from tokenworker.reading.reader import signature
from tokenworker.store.usage import Action
from tokenworker.web.clients.client import Client
from tokenworker.web.handler import Handler
from tokenworker.web.problems import Problem


class Asking(Handler):
    """A request for a credential, or about one."""

    async def read(self, id_: CredentialId) -> Credential:
        """Return one that works; raises `TokenUnavailable`, and the problem of one that is not kept here."""
        found = self.held.reader.fresh(id_.account, id_.name) or await self._look_for(id_)
        if id_.name == ACCESS_TOKEN:
            self.held.tokens.note(id_.account, found)
        return found

    async def _look_for(self, id_: CredentialId) -> Credential:
        held = self.held
        if held.reader.known(id_.account, id_.name):
            return await held.reader.get_credential(id_.account, id_.name)
        await held.kept.check(id_)
        # What is missing holds a thread for seconds: some must stay free for what only needs a look.
        with held.load.wait_for(id_):
            return await held.reader.get_credential(id_.account, id_.name)

    async def report(self, client: Client, id_: CredentialId, fingerprint: str) -> None:
        """Report one that WeChat refused; raises the problem of a client that reports too much."""
        self.held.reports.take(client.name)
        await self.held.kept.check(id_)
        await self.held.reader.report(id_.account, fingerprint, id_.name)
        self.count(client.name, "reports")

    async def sign(self, id_: CredentialId, url: str) -> dict[str, Any]:
        """Return what the page at a URL gives to `wx.config`, signed with that ticket."""
        return signature(id_.account, url, await self.read(id_))

    def left(self, id_: CredentialId, credential: Credential) -> int:
        """Return the whole seconds that one has left."""
        return max(0, int(self.held.reader.left(id_.account, credential, id_.name)))

    def count(self, client: str, action: Action) -> None:
        """Count what a client did; nothing for HEAD, which hands out nothing."""
        if self.request.method != "HEAD":
            self.held.tally.count(client, action)

    def body(self) -> dict[str, Any]:
        """Return the JSON object that was sent; raises the problem of one that can't be read."""
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        raise Problem(400, "the body must be a JSON object in UTF-8")
