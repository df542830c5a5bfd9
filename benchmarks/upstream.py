"""WeChat in its barest form: any account gets a token, after a delay. Run as a program of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import tornado.web

#: When each call came in.
CALLS: list[float] = []


class Token(tornado.web.RequestHandler):
    async def post(self) -> None:
        CALLS.append(time.monotonic())
        await asyncio.sleep(OPTIONS.delay)
        self.write({"access_token": f"{time.time_ns():x}".ljust(136, "t"), "expires_in": OPTIONS.life})


class Calls(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write(json.dumps(CALLS))


async def serve() -> None:
    application = tornado.web.Application([("/cgi-bin/stable_token", Token), ("/calls", Calls)], log_function=str)
    application.listen(OPTIONS.port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.15, help="seconds until the answer")
    parser.add_argument("--life", type=int, default=7200, help="seconds a token lives")
    OPTIONS = parser.parse_args()
    asyncio.run(serve())
