"""A stable address in front of one server at a time, as managed Redis and load balancers have it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol, Self

from support.ports import reserve_port

#: Which bytes: those that clients send, or those that the server answers.
Direction = Literal["requests", "answers"]

_RESET = struct.pack("ii", 1, 0)


class Server(Protocol):
    """What an address can lead to."""

    port: int
    url: str


class Vip:
    """An address that can be moved to another server, with the open connections left, cut, or held up."""

    def __init__(self, server: Server) -> None:
        self.port = reserve_port()
        self._to = server
        self._flows: dict[Direction, threading.Event] = {"requests": threading.Event(), "answers": threading.Event()}
        self._open: set[socket.socket] = set()
        self._fatal = b""
        #: Servers' ends of connections whose next answer gets lost.
        self._doomed: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.flow()

    def __enter__(self) -> Self:
        self._listener = self._listen()
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.flow()
        for thread in self._threads:
            thread.join(5)
        self.cut()

    @property
    def url(self) -> str:
        """Where clients connect to: the server's URL with this address in it."""
        before, _, behind = self._to.url.rpartition(f":{self._to.port}")
        return f"{before}:{self.port}{behind}"

    @property
    def server(self) -> Server:
        return self._to

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open) // 2

    def move(self, server: Server) -> None:
        """Lead new connections to another server; the open ones stay where they are."""
        self._to = server

    def cut(self) -> None:
        """Reset the open connections."""
        with self._lock:
            sockets, self._open = self._open, set()
        for sock in sockets:
            _reset(sock)

    def stall(self, *directions: Direction) -> None:
        """Hold back the bytes, of both directions unless one is named; connections go on being accepted."""
        for direction in directions or self._flows:
            self._flows[direction].clear()

    def lose_answer(self, to: bytes) -> None:
        """Have the next request with these bytes in it carried out, and its connection cut in place of the answer."""
        self._fatal = to

    @property
    def has_lost_it(self) -> bool:
        """Whether the answer that was to be lost is."""
        return not self._fatal

    def flow(self) -> None:
        """Let all bytes pass again, those first that were held back."""
        for event in self._flows.values():
            event.set()

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", self.port), backlog=128)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True, name="vip")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._join(client)

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._to.port), timeout=5)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        self._start(self._pump, client, server, self._flows["requests"])
        self._start(self._pump, server, client, self._flows["answers"])

    def _pump(self, source: socket.socket, to: socket.socket, flows: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                flows.wait()
                if source in self._doomed:
                    break
                if self._fatal and self._fatal in data:
                    self._fatal = b""
                    self._doomed.add(to)
                to.sendall(data)
        self._doomed.discard(source)
        self._close(source, to)

    def _close(self, *sockets: socket.socket) -> None:
        """End a connection whose one end has hung up."""
        with self._lock:
            known = [sock for sock in sockets if sock in self._open]
            self._open.difference_update(known)
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for sock in known:
            sock.close()


def _reset(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
