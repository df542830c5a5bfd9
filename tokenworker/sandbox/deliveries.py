"""The ways to answer wrongly, one for each kind of fault."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.iostream import StreamClosedError

from tokenworker.sandbox.errors import WeChatError
from tokenworker.sandbox.exchange import JSON_TYPE, Exchange
from tokenworker.sandbox.faults import Fault, Kind

Process = Callable[[], dict[str, Any]]
Delivery = Callable[[Exchange, Fault, Process], Awaitable[None]]

_PAGE = "<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"
_CHUNK = b"a" * 65_536


def encode(payload: dict[str, Any]) -> bytes:
    """Write JSON as WeChat does, in UTF-8 and without escapes."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def envelope(error: WeChatError) -> dict[str, Any]:
    """Wrap a refusal in WeChat's form."""
    return {"errcode": error.errcode, "errmsg": error.errmsg}


async def deliver(exchange: Exchange, fault: Fault, process: Process) -> None:
    """Answer as the fault wants; `process` has the platform deal with the request."""
    with contextlib.suppress(StreamClosedError):
        await _DELIVERIES[fault.kind](exchange, fault, process)


async def _errcode(exchange: Exchange, fault: Fault, _: Process) -> None:
    error = exchange.platform.refusal(fault.errcode, exchange.request.remote_ip or "")
    errmsg = error.errmsg if fault.errmsg is None else fault.errmsg
    await exchange.send(encode({"errcode": fault.errcode, "errmsg": errmsg}), fault.content_type or JSON_TYPE)


async def _flap(exchange: Exchange, _fault: Fault, _: Process) -> None:
    await exchange.send(encode(envelope(exchange.platform.refusal(40001))))


async def _status(exchange: Exchange, fault: Fault, _: Process) -> None:
    status = fault.status or 502
    body = _PAGE.format(status=status) if fault.body is None else fault.body
    await exchange.send(body.encode(), fault.content_type or "text/html", status)


async def _body(exchange: Exchange, fault: Fault, _: Process) -> None:
    await exchange.send((fault.body or "").encode(), fault.content_type or JSON_TYPE)


async def _empty(exchange: Exchange, fault: Fault, _: Process) -> None:
    await exchange.send(b"", fault.content_type or "text/html; charset=gbk")


async def _redirect(exchange: Exchange, fault: Fault, _: Process) -> None:
    exchange.set_header("Location", fault.location or "/")
    await exchange.send(b"", "text/html", fault.status or 302)


async def _hang(exchange: Exchange, fault: Fault, _: Process) -> None:
    await exchange.pause(fault.seconds)
    exchange.hang_up()


async def _huge(exchange: Exchange, _fault: Fault, _: Process) -> None:
    exchange.set_header("Content-Type", JSON_TYPE)
    exchange.write(b'{"access_token":"')
    while True:
        await exchange.flush()
        exchange.write(_CHUNK)


async def _truncated(exchange: Exchange, _: Fault, process: Process) -> None:
    body = encode(process())
    exchange.set_header("Content-Type", JSON_TYPE)
    exchange.set_header("Content-Length", len(body))
    exchange.write(body[: len(body) // 2])
    await exchange.flush()
    exchange.hang_up()


async def _delay(exchange: Exchange, fault: Fault, process: Process) -> None:
    if fault.before:
        await exchange.pause(fault.seconds)
        await exchange.send(encode(process()))
        return
    body = encode(process())
    await exchange.pause(fault.seconds)
    await exchange.send(body)


async def _reset(exchange: Exchange, fault: Fault, process: Process) -> None:
    if not fault.before:
        process()
    exchange.hang_up(reset=True)


async def _drip(exchange: Exchange, fault: Fault, process: Process) -> None:
    body = encode(process())
    exchange.set_header("Content-Type", JSON_TYPE)
    exchange.set_header("Content-Length", len(body))
    await exchange.flush()
    exchange.stream.set_nodelay(True)
    for byte in body:
        await exchange.pause(fault.seconds)
        exchange.write(bytes([byte]))
        await exchange.flush()


async def _drip_headers(exchange: Exchange, fault: Fault, process: Process) -> None:
    body = encode(process())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {JSON_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    exchange.stream.set_nodelay(True)
    for byte in head.encode():
        await exchange.stream.write(bytes([byte]))
        await exchange.pause(fault.seconds)
    await exchange.stream.write(body)
    exchange.hang_up()


_DELIVERIES: dict[Kind, Delivery] = {
    "errcode": _errcode,
    "status": _status,
    "body": _body,
    "empty": _empty,
    "redirect": _redirect,
    "hang": _hang,
    "huge": _huge,
    "truncated": _truncated,
    "delay": _delay,
    "reset": _reset,
    "drip": _drip,
    "drip_headers": _drip_headers,
    "flap": _flap,
}
