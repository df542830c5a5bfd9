"""WeChat's calls over HTTP."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tornado.iostream import StreamClosedError

from tokenworker.sandbox.call import Call
from tokenworker.sandbox.endpoint import Endpoint
from tokenworker.sandbox.errors import WeChatError
from tokenworker.sandbox.exchange import Exchange, envelope
from tokenworker.sandbox.faults import Fault, FaultBox
from tokenworker.sandbox.platform import Platform


class WeChatCall(Exchange):
    """One call: the right answer, unless a fault says otherwise. `underway` counts the calls of each path."""

    def initialize(self, platform: Platform, faults: FaultBox, underway: Counter[str], endpoint: Endpoint) -> None:
        """Take what the whole server shares, and the route's endpoint."""
        self.platform = platform
        self.faults = faults
        self.underway = underway
        self.endpoint = endpoint

    async def get(self) -> None:
        """Answer; a wrong method is refused with an errcode, as all is."""
        with self._arrive():
            await self._answer()

    async def post(self) -> None:
        """Answer as for GET."""
        await self.get()

    def process(self) -> dict[str, Any]:
        """Answer as the endpoint does."""
        try:
            return self.endpoint.answer(self.platform, self.call)
        except WeChatError as error:
            return envelope(error)

    def refusal(self, errcode: int | None = None) -> WeChatError:
        """Refuse in the words of the endpoint's server."""
        host = self.endpoint.host_of(self.call)
        return self.platform.refusal(host.bad_token if errcode is None else errcode, self.caller, host)

    @contextlib.contextmanager
    def _arrive(self) -> Iterator[None]:
        self.underway[self.endpoint.path] += 1
        self.call = self._read(self.underway[self.endpoint.path])
        try:
            yield
        finally:
            self.underway[self.endpoint.path] -= 1

    def _read(self, parallel: int) -> Call:
        arguments = self.request.query_arguments.items()
        query = {name: values[-1].decode(errors="replace") for name, values in arguments if values}
        return Call(self.request.path, self.request.method or "", self.caller, query, self.json_body() or {}, parallel)

    async def _answer(self) -> None:
        whose = self.endpoint.whose(self.platform, self.call)
        works = self.endpoint.token_works(self.platform, self.call)
        if fault := self.faults.take(self.request.path, whose, token_works=works):
            await self._spoil(fault)
        else:
            await self.send_json(self.process())

    async def _spoil(self, fault: Fault) -> None:
        slot = self.endpoint.slot(self.platform, self.call)
        self.platform.count_fault(slot, is_fetch=not fault.effect.is_processed)
        with contextlib.suppress(StreamClosedError):
            await fault.effect.deliver(self)
