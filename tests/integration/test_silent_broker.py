"""A broker that falls silent without a sign: nobody waits for it for ever."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
import redis
from support.processes import TICKED, RedisServer, Stack, wait_for

from tokenworker.sandbox import Sandbox


class Relay:
    """The way to a server; of the connections under way nothing comes through any more once they fell silent."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._silent = threading.Event()
        self._sockets: list[socket.socket] = []
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._serve, daemon=True).start()

    def silence(self) -> None:
        """Lose what goes through the connections that are open now, as a router does that forgot them."""
        self._silent.set()
        self._silent = threading.Event()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._sockets:
            with suppress(OSError):  # the other end may be gone
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += (client, server)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(*ends, self._silent), daemon=True).start()

    @staticmethod
    def _pump(here: socket.socket, there: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while data := here.recv(65536):
                if not silent.is_set():
                    there.sendall(data)
            if not silent.is_set():
                there.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(server: RedisServer) -> Iterator[Relay]:
    with closing(Relay(server.port)) as relay:
        yield relay


def test_where_connections_fall_silent_worker_and_beat_connect_anew(
    make_stack: Callable[..., Stack], relay: Relay, server: RedisServer, client: redis.Redis, sandbox: Sandbox
) -> None:
    stack = make_stack(server, sandbox, CELERY_BROKER_URL=relay.url)
    worker, beat = stack.worker(), stack.beat()
    wait_for(lambda: client.get(TICKED))
    for _ in range(2):
        client.delete(TICKED)
        wait_for(lambda: client.get(TICKED))  # beat's, for the worker sends one alone
    relay.silence()
    client.delete(TICKED)

    wait_for(lambda: client.get(TICKED), timeout=25)
    wait_for(lambda: client.llen("tokenworker") == 0)  # what beat sent before
    for _ in range(2):
        client.delete(TICKED)
        wait_for(lambda: client.get(TICKED), timeout=25)
    assert (worker.poll(), beat.poll()) == (None, None)


@pytest.mark.parametrize("frozen_for", [0.0, 3.0])
def test_a_worker_whose_redis_is_frozen_ends_before_its_service_manager_loses_patience(
    make_stack: Callable[..., Stack], own_server: RedisServer, sandbox: Sandbox, frozen_for: float
) -> None:
    stack = make_stack(own_server, sandbox)
    worker = stack.worker()
    stack.beat()
    wait_for(lambda: "succeeded" in stack.log(0))
    own_server.send_signal(signal.SIGSTOP)
    time.sleep(frozen_for)
    worker.terminate()

    assert worker.wait(20) == 0  # stop_grace_period in docker-compose.yml
