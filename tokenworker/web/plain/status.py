"""How credentials are, in plain JSON: what the task of that name and `tokenworker status` say."""

from __future__ import annotations

import asyncio
from typing import Any, cast, get_args

from tokenworker.web.clients.client import Client
from tokenworker.web.handler import Handler
from tokenworker.web.kept import HASTE
from tokenworker.web.problems import Problem
from tokenworker.worker.status import Overview, State, survey

_MOST = 10_000


class Status(Handler):
    """How the credentials are that a client may see."""

    async def get(self) -> None:
        """Count those in each state, and describe some, worst first."""
        client = self.client("status")
        account, state = self.get_query_argument("account", ""), self._state()
        offset, limit = self._number("offset", 0), self._number("limit", 50)
        await self.held.kept.refresh(HASTE)
        async with self.held.surveys:
            answer = await asyncio.to_thread(self._look, client, account, state, offset, offset + limit)
        self.write_json(answer | {"clients_error": self.held.clients.error})

    def _look(self, client: Client, account: str, state: State | None, first: int, last: int) -> dict[str, Any]:
        held, kept, chosen = self.held, self.held.kept, self.held.kept.account(account)
        ids = [
            id_
            for id_ in sorted(kept.ids)
            if chosen in ("", id_.account) and client.may_see(id_.account, kept.names.get(id_.account, ""))
        ]
        seen = Overview(held.store, held.durations, ids)
        rows = survey(held.store, held.durations, seen.worst(state)[first:last])
        return {"counts": seen.counts, "accounts_error": held.store.notes.accounts_error(), "credentials": rows}

    def _state(self) -> State | None:
        given, known = self.get_query_argument("state", ""), get_args(State)
        if given and given not in known:
            raise Problem(400, f"state must be one of {', '.join(known)}")
        return cast("State | None", given or None)

    def _number(self, name: str, default: int) -> int:
        given = self.get_query_argument(name, "") or str(default)
        if given.isascii() and given.isdigit() and len(given) < 6 and int(given) <= _MOST:  # noqa: PLR2004
            return int(given)
        raise Problem(400, f"{name} must be a whole number from 0 to {_MOST}")


routes = [("/v1/status", Status)]
