"""A call and its right answer, for whoever delivers it or something else."""

import json
from typing import Any

from tokenworker.sandbox.errors import WeChatError
from tokenworker.sandbox.wire import JSON_TYPE, Wire


class Exchange(Wire):
    """A call that WeChat would answer."""

    def process(self) -> dict[str, Any]:
        """Have the platform deal with the call, and return the answer."""
        raise NotImplementedError

    def refusal(self, errcode: int | None = None) -> WeChatError:
        """Build a refusal in the words of the server that is called; None is what it says of a dead token."""
        raise NotImplementedError

    async def send_json(self, payload: dict[str, Any], content_type: str | None = None) -> None:
        """Answer with JSON."""
        await self.send(encode(payload), content_type or JSON_TYPE)


def encode(payload: dict[str, Any]) -> bytes:
    """Write JSON as WeChat does, in UTF-8 and without escapes."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def envelope(error: WeChatError) -> dict[str, Any]:
    """Wrap a refusal in WeChat's form."""
    return {"errcode": error.errcode, "errmsg": error.errmsg}
