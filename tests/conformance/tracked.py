"""A program with an error tracker or tracers in it: prints what those got to see of a secret and a token.

    python tracked.py sentry|otel RATE CASE [FAULT]

RATE is the part of calls that Sentry traces, CASE what is done, FAULT what the sandbox does then, as JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

APPID = "wx0123456789abcdef"
SEEN: list[str] = []

TRACKER, RATE, CASE = sys.argv[1], float(sys.argv[2]), sys.argv[3]


def sentry() -> Callable[[], None]:
    """Install Sentry's SDK, telling everything it can."""
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Sink(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            SEEN.append(envelope.serialize().decode("utf-8", "replace"))

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:1/1",
        transport=Sink,
        traces_sample_rate=RATE,
        send_default_pii=True,
        max_request_body_size="always",
        max_value_length=100_000,
        attach_stacktrace=True,
        event_scrubber=None,
    )
    transaction = sentry_sdk.start_transaction(name="job")
    transaction.__enter__()

    def end() -> None:
        sentry_sdk.capture_message("anything")
        transaction.__exit__(None, None, None)
        sentry_sdk.flush()

    return end


def otel() -> Callable[[], None]:
    """Install OpenTelemetry's instrumentations of the HTTP libraries."""
    from opentelemetry import trace
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    class Sink(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            SEEN.extend(span.to_json() for span in spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Sink()))
    trace.set_tracer_provider(provider)
    for instrumentor in (RequestsInstrumentor(), URLLib3Instrumentor(), HTTPXClientInstrumentor()):
        instrumentor.instrument()
    return provider.shutdown


end = sentry() if TRACKER == "sentry" else otel()

# What is tracked is imported after the tracker, as programs do.
import httpx  # noqa: E402
import requests  # noqa: E402

from tokenworker import AsyncTokenReader, TokenReader  # noqa: E402
from tokenworker.auth import WeChatAuth  # noqa: E402
from tokenworker.auth.httpx import WeChatAuth as HttpxAuth  # noqa: E402
from tokenworker.credential import fingerprint  # noqa: E402
from tokenworker.refresh.causes import Demand  # noqa: E402
from tokenworker.worker.runtime import runtime  # noqa: E402

CALL = os.environ["WECHAT_API_URL"].split(",")[0] + "/cgi-bin/user/get"
DEAD = "http://127.0.0.1:1/cgi-bin/user/get"
held = runtime()
account = held.registry.account()


def token() -> str:
    return held.keeper.get(held.target())[0].access_token


def told(call: Callable[[], Any]) -> None:
    """Do something, and have the tracker told of its failure, frames and all."""
    try:
        call()
    except Exception:
        logging.getLogger("job").exception("it failed")


def fetch() -> None:
    told(lambda: held.keeper.refresh(held.target(), Demand(early=True)))


def probe() -> None:
    told(lambda: held.keeper.refresh(held.target(), Demand(rejected=fingerprint(token()))))


def with_requests(url: str) -> None:
    session = requests.Session()
    session.auth = WeChatAuth(TokenReader(os.environ["REDIS_URL"]), APPID)
    told(lambda: session.post(url, json={"a": 1}, timeout=5))


def with_httpx(url: str) -> None:
    with httpx.Client(auth=HttpxAuth(TokenReader(os.environ["REDIS_URL"]), APPID)) as client:
        told(lambda: client.get(url))


def with_async_httpx(url: str) -> None:
    async def call() -> None:
        async with httpx.AsyncClient(auth=HttpxAuth(AsyncTokenReader(os.environ["REDIS_URL"]), APPID)) as client:
            with suppress(httpx.HTTPError):
                await client.get(url)

    told(lambda: asyncio.run(call()))


def report() -> None:
    told(lambda: TokenReader("redis://127.0.0.1:1/0").reject(APPID, value))


CASES: dict[str, Callable[[], None]] = {
    "fetch": fetch,
    "probe": probe,
    "requests": lambda: with_requests(CALL),
    "requests-refused": lambda: with_requests(DEAD),
    "httpx": lambda: with_httpx(CALL),
    "httpx-refused": lambda: with_httpx(DEAD),
    "async-httpx": lambda: with_async_httpx(CALL),
    "async-httpx-refused": lambda: with_async_httpx(DEAD),
    "report": report,
}

value = token()
if len(sys.argv) > 4:
    requests.post(os.environ["WECHAT_API_URL"] + "/sandbox/faults", data=sys.argv[4], timeout=5).raise_for_status()
CASES[CASE]()
end()
SHAPES: tuple[Callable[[str], str], ...] = (
    lambda text: text[:20],
    lambda text: quote(text, safe="")[:20],
    lambda text: base64.b64encode(text.encode()).decode()[:20],
)
seen = "".join(SEEN)
secrets = [os.environ["WECHAT_SECRET"], value]
hits = sum(seen.count(shape(secret)) for secret in secrets for shape in SHAPES)
print(json.dumps({"hits": hits, "seen": len(SEEN), "wechat": seen.count("/cgi-bin/")}))
