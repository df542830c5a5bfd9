"""A proxy that makes a server answer like an old one, for the tests: python old_redis.py PORT TARGET REFUSED ...

REFUSED are commands that it does not know, such as HELLO (Redis 5 and before, and many proxies that speak RESP2
alone), or words that a command must not contain, such as ZRANGE+BYSCORE (Redis before 6.2).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress


def refuses(words: list[bytes], refused: list[str]) -> bytes | None:
    """Return what an old server would answer to a command that it does not know."""
    present = {word.upper() for word in words}
    for rule in refused:
        name, *arguments = rule.encode().split(b"+")
        if words[0].upper() == name and present.issuperset(arguments):
            text = b"value is not an integer or out of range" if arguments else b"unknown command `%b`" % words[0]
            return b"-ERR " + text + b"\r\n"
    return None


async def command(reader: asyncio.StreamReader) -> tuple[list[bytes], bytes]:
    """Read one command: its words, and the bytes of it."""
    raw = await reader.readline()
    words = []
    for _ in range(int(raw[1:] or 0)):
        head = await reader.readline()
        body = await reader.readexactly(int(head[1:]) + 2)
        words.append(body[:-2])
        raw += head + body
    return words, raw


def serve(target: int, refused: list[str]) -> Callable[..., object]:
    """Make the function that serves a client."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection("127.0.0.1", target)
        back = asyncio.create_task(pump(answers, writer))
        while (read := await command(reader))[0]:
            words, raw = read
            answer = refuses(words, refused)
            writer.write(answer) if answer else server.write(raw)
        server.close()
        await back

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # clients come and go
            await client(reader, writer)
        writer.close()

    return quiet


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on all that comes."""
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def main() -> None:
    """Serve until stopped."""
    port, target, *refused = sys.argv[1:]
    async with await asyncio.start_server(serve(int(target), refused), "127.0.0.1", int(port)) as server:  # type: ignore[arg-type]
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
