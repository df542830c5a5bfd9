"""Servers of other people: old ones, and proxies that know less than a server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import pytest
from support.old_redis import BEFORE_6_0, RESP2_ONLY, proxy, replace_url
from support.processes import RedisServer, Stack, wait_for, wait_for_beat
from support.readers import put_named as put
from support.targets import look

from tokenworker import AsyncTokenReader, TokenReader
from tokenworker.sandbox import Sandbox
from tokenworker.store.connect import connect
from tokenworker.store.store import Store


@pytest.mark.parametrize("refused", [BEFORE_6_0, RESP2_ONLY])
def test_store_and_readers_need_no_more_than_an_old_server_knows(server: RedisServer, refused: tuple[str, ...]) -> None:
    async def read(url: str) -> str:
        async with AsyncTokenReader(url) as reader:
            return (await reader.get_token("wx1")).access_token

    with proxy(server, refused) as url, closing(connect(url)) as client, TokenReader(url) as reader:
        put(Store(client))

        assert reader.get_token("wx1").access_token == "token-of-wx1"
        assert asyncio.run(read(url)) == "token-of-wx1"
        reader.reject("wx1", "token-of-wx1")
        assert look(Store(client), "wx1").rejected


def test_the_queue_works_through_a_proxy_that_speaks_resp2_alone(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox
) -> None:
    with proxy(server, RESP2_ONLY) as url:
        stack = make_stack(replace_url(server, url), sandbox)
        stack.worker()
        stack.beat()
        command = [sys.executable, "-m", "tokenworker.cli", "check"]
        with server.client() as client:
            wait_for_beat(client)
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)
        stack.stop()

    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("refused", [BEFORE_6_0, ("ZRANGE+BYSCORE",)])
def test_a_server_too_old_for_the_queue_stops_a_worker_with_a_sentence_and_check_finds_it(
    make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, refused: tuple[str, ...]
) -> None:
    with proxy(server, refused) as url:
        stack = make_stack(replace_url(server, url), sandbox)
        process = stack.run("celery", "--app=tokenworker", "worker")
        command = [sys.executable, "-m", "tokenworker.cli", "check"]
        run = subprocess.run(command, capture_output=True, text=True, check=False, env=stack.environ, cwd=stack.folder)

        assert process.wait(20) != 0
    assert "the queue needs Redis 6.2 or newer" in stack.logs()
    assert "Traceback" not in stack.logs()
    assert "the queue needs Redis 6.2 or newer" in " ".join(run.stdout.split())
    assert run.returncode == 1


def test_a_server_too_old_for_the_queue_holds_tokens_while_the_queue_is_elsewhere(
    make_stack: Callable[..., Stack], server: RedisServer, own_server: RedisServer, sandbox: Sandbox
) -> None:
    with proxy(server, BEFORE_6_0) as url, server.client() as client:
        other = {"CELERY_BROKER_URL": own_server.url, "CELERY_RESULT_BACKEND": own_server.url}
        stack = make_stack(replace_url(server, url), sandbox, **other)
        stack.worker()

        wait_for(lambda: client.get(f"tokenworker:{{{stack.environ['WECHAT_APPID']}}}:access_token"))
        stack.stop()
