"""A server on raw sockets: it keeps every request as it arrived, and answers byte by byte what a test wants."""

from __future__ import annotations

import gc
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import parse_qsl

from support.processes import free_port, wait_for

#: A name that no resolver knows, by RFC 2606.
NOWHERE = "no-such-host.invalid"


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True, strict_parsing=True)


class Exchange:
    """One request and the connection to answer it on."""

    def __init__(self, request: Request, sock: socket.socket, stop: threading.Event) -> None:
        self.request = request
        self.sock = sock
        self._stop = stop

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def wait(self, seconds: float = 30.0) -> None:
        """Do nothing until the test is over, or the time."""
        self._stop.wait(seconds)

    def hang_up(self) -> None:
        self.sock.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        # On, and linger for 0 seconds: closing then sends RST instead of FIN.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        # Not close(): that would wait for the stream that reads from it.
        os.close(self.sock.detach())


#: Bytes to send, or a function that does what it likes with the connection.
Reply = bytes | Callable[[Exchange], None]


def http(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Write an answer; `Content_Type` names the header Content-Type."""
    lines = {"Content-Length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def json_answer(document: object) -> bytes:
    return http(json.dumps(document, ensure_ascii=False).encode())


def hang(exchange: Exchange) -> None:
    exchange.wait()


def hang_up(exchange: Exchange) -> None:
    exchange.hang_up()


def reset(exchange: Exchange) -> None:
    exchange.reset()


def then_hang_up(reply: bytes) -> Reply:
    def send(exchange: Exchange) -> None:
        exchange.send(reply)
        exchange.hang_up()

    return send


def after(seconds: float, reply: bytes) -> Reply:
    def send(exchange: Exchange) -> None:
        exchange.wait(seconds)
        exchange.send(reply)

    return send


def drip(rest: bytes, *, head: bytes = b"", pause: float = 0.03) -> Reply:
    """Send `head` at once, and `rest` one byte each `pause` seconds."""

    def send(exchange: Exchange) -> None:
        exchange.send(head)
        for byte in rest:
            exchange.wait(pause)
            exchange.send(bytes([byte]))

    return send


class Server:
    """Answers with each of `replies` once, and then with the last of them for ever."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.replies: Iterator[Reply] = chain(replies, repeat(replies[-1]))
        self._tls = tls
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._accepting = self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        _shut(self._listener)
        self._accepting.join()
        for sock in list(self._open):
            _shut(sock)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _start(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.add(sock)
                self._start(self._serve, sock)

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError, StopIteration):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._tls.wrap_socket(plain, server_side=True) if self._tls else plain as sock:
                self._open.add(sock)
                with sock.makefile("rb") as stream:
                    self._converse(sock, stream)
        self._open.discard(plain)

    def _converse(self, sock: socket.socket, stream: BinaryIO) -> None:
        while request := read_request(stream):
            self.requests.append(request)
            reply = next(self.replies)
            exchange = Exchange(request, sock, self._stop)
            if isinstance(reply, bytes):
                exchange.send(reply)
            else:
                reply(exchange)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def read_request(stream: BinaryIO) -> Request | None:
    """Read a request; None when the caller has hung up, or speaks something else."""
    words = stream.readline().decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        return None
    headers: dict[str, str] = {}
    while line := stream.readline().strip().decode("latin-1"):
        name, _, text = line.partition(": ")
        assert name not in headers
        headers[name] = text
    return Request(words[0], words[1], headers, stream.read(int(headers.get("Content-Length", 0))))


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port whose queue is full: it neither takes a connection nor refuses it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def refusing_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Make sure that no thread of a fetch and no file descriptor outlives the block."""
    before = open_files()
    yield
    wait_for(lambda: not fetching(), timeout=5)
    if open_files() > before:
        gc.collect()
    assert open_files() <= before


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def fetching() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tokenworker-fetch"]
