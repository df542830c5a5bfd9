"""A story with secrets: a whole stack runs through good and bad days, at DEBUG, and all that leaves it is kept."""

from __future__ import annotations

import codecs
import json
import os
import re
import secrets
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copy
from typing import Any
from urllib.parse import quote

import pytest
import redis
from celery import Celery

from support.canaries import Canaries
from support.ports import is_open
from support.processes import RedisServer, Stack, free_port, wait_for
from support.usage import command
from support.web import Answer, ask
from tokenworker.credential import fingerprint
from tokenworker.sandbox import Rules, Sandbox
from tokenworker.sandbox.issuers import access_token, ticket, wecom
from tokenworker.web.clients.client import digest, new_key

#: What a password may hold.
ODD = "+/=&?#@:%\"'\\é"
STABLE, CLASSIC, MINI = "wx00000000000000c1", "wx00000000000000c2", "wx00000000000000c3"
CORPID, AGENT = "ww00000000000000c4", 1000004
OTHER, THIRD = "wx00000000000000c5", "wx00000000000000c6"
KEPT = ("access_token", "jsapi_ticket")
#: What Flower shows, besides each task.
FLOWER = (
    "/workers",
    "/worker/w0@test",
    "/tasks",
    "/broker",
    "/metrics",
    "/api/workers?refresh=1",
    "/api/queues/length",
)
MOST_TASKS = 40
#: What workers say of themselves.
INSPECTED = ("active", "conf", "registered", "report", "reserved", "scheduled", "stats", "active_queues")
#: What a service hands over as an argument by mistake. Celery itself has it in its variables, and in the message.
ARGUMENTS = {"token as an argument", "AppSecret as an argument"}
#: A published copy.
COPY = "copy-for-php"


def odd() -> str:
    """Make up a password whose every form differs from the others."""
    return f"{secrets.token_hex(2)}{ODD}{secrets.token_hex(16)}{ODD}{secrets.token_hex(2)}"


@dataclass
class Scene:
    """All that runs, and what left it."""

    folder: Path
    canaries: Canaries = field(default_factory=Canaries)
    #: Those of names that were given to somebody on purpose, as he gave them to us.
    secrets: dict[str, str] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    #: What left, by where to.
    left: dict[str, str] = field(default_factory=dict)

    def new(self, name: str, secret: str) -> str:
        self.secrets[name] = self.canaries.add(name, secret)
        return secret

    def issue(self, value: str) -> str:
        self.issued.append(self.canaries.add(f"issued {len(self.issued)}", value))
        return value

    def tell(self, where: str, what: str) -> None:
        self.left[where] = self.left.get(where, "") + what + "\n"


class Guarded(RedisServer):
    """A server with a password, and with all that it is asked to do written down."""

    def __init__(self, folder: Path, password: str) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.options = ("--requirepass", password)
        self.url = f"redis://:{quote(password, safe='')}@127.0.0.1:{self.port}/0"
        self._password = password
        self.seen = b""

    def watch(self) -> None:
        """Write down what it is asked to do from now on."""
        watching = socket.create_connection(("127.0.0.1", self.port))
        word = self._password.encode()
        watching.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\nMONITOR\r\n" % (len(word), word))
        threading.Thread(target=self._read, args=(watching,), daemon=True).start()

    def _read(self, watching: socket.socket) -> None:
        with watching, suppress(OSError):
            while data := watching.recv(1 << 20):
                self.seen += data

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield what it was asked to do: the command with its first argument, and all of it."""
        for line in self.seen.decode("utf-8", "surrogateescape").splitlines():
            words = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
            plain = [codecs.escape_decode(word.encode())[0].decode("utf-8", "surrogateescape") for word in words]
            yield " ".join(plain[:2]), " ".join(plain)


class Story:
    """What happens, from the start to the end."""

    def __init__(self, scene: Scene, exits: ExitStack) -> None:
        self.scene = scene
        self._exits = exits
        self._name_secrets()
        new = scene.secrets
        self.sandbox = exits.enter_context(Sandbox(Rules(life=20, overlap=5, force_interval=0.5), self._wechat()))
        self.sandbox.add_application(CORPID, AGENT, new["WeCom's secret"])
        self.store = self._server("store", new["password of the store"])
        self.queue = self._server("queue", new["password of the queue"])
        with self.queue.client() as client:
            client.acl_setuser("results", enabled=True, passwords=[f"+{new['password of the results']}"],
                               keys=["*"], channels=["*"], commands=["+@all"])  # fmt: skip
        self.queue.watch()
        self.stack = Stack(scene.folder, self._environ())
        exits.callback(self.stack.stop)
        self.web = f"http://127.0.0.1:{free_port()}"
        self.flower = f"http://127.0.0.1:{free_port()}"

    def _name_secrets(self) -> None:
        new = self.scene.new
        for appid in (STABLE, CLASSIC, OTHER):
            new(f"AppSecret of {appid}", secrets.token_hex(16))
        for appid in (MINI, THIRD):
            new(f"AppSecret of {appid}", f"{secrets.token_hex(12)}+/=&%?#:{secrets.token_hex(4)}")
        new("WeCom's secret", secrets.token_urlsafe(32))
        for whose in ("the store", "the queue", "the results", "the proxy", "the page"):
            new(f"password of {whose}", odd())
        # Flower itself fails at others than ASCII.
        for name in ("password of Flower", "password that is none at Flower"):
            new(name, odd().replace("é", "~"))
        for client in ("reader", "reporter", "watcher", "nobody"):
            new(f"key of {client}", new_key())
        new("key that is none", new_key())
        new("password that is none", odd())
        new("token as an argument", "81_" + secrets.token_urlsafe(97))
        new("AppSecret as an argument", secrets.token_hex(16))

    def _wechat(self) -> dict[str, str]:
        appids = (STABLE, CLASSIC, MINI, OTHER, THIRD)
        return {appid: self.scene.secrets[f"AppSecret of {appid}"] for appid in appids}

    def _server(self, name: str, password: str) -> Guarded:
        server = Guarded(self.scene.folder / name, password)
        server.start()
        self._exits.callback(server.kill)
        return server

    def _environ(self) -> dict[str, str]:
        new, folder = self.scene.secrets, self.scene.folder
        results = self.queue.url.replace("//:" + quote(new["password of the queue"], safe=""),
                                         "//results:" + quote(new["password of the results"], safe=""))  # fmt: skip
        (folder / "secret").write_text(new[f"AppSecret of {CLASSIC}"])
        (folder / "accounts.toml").write_text(self._accounts(), encoding="utf-8")
        (folder / "clients.toml").write_text(self._clients(), encoding="utf-8")
        for file in ("tracker.py", "debugged.py"):
            copy(Path(__file__).parent / file, folder)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "REDIS_URL": self.store.url,
            "CELERY_BROKER_URL": self.queue.url,
            "CELERY_RESULT_BACKEND": results,
            "WECHAT_API_URL": self.sandbox.url,
            "WECOM_API_URL": self.sandbox.url,
            "TOKENWORKER_ACCOUNTS": str(folder / "accounts.toml"),
            "SECRET_OF_MINI": new[f"AppSecret of {MINI}"],
            "TOKENWORKER_WEB_CLIENTS": str(folder / "clients.toml"),
            "TOKENWORKER_WEB_PASSWORD": new["password of the page"],
            "TOKENWORKER_TIME_SCALE": str(5 / 300),
            "TOKENWORKER_TICK": "0.2",
            "TOKENWORKER_FETCH_TIMEOUT": "0.7",
            "FLOWER_BASIC_AUTH": f"flower:{new['password of Flower']}",
            "FLOWER_PERSISTENT": "True",
            "FLOWER_DB": str(folder / "flower.db"),
            "PYTHONUNBUFFERED": "1",
        }

    def _accounts(self) -> str:
        new = self.scene.secrets
        tables: list[dict[str, Any]] = [
            {"appid": STABLE, "secret": new[f"AppSecret of {STABLE}"], "keep": list(KEPT), "publish": [COPY]},
            {"appid": CLASSIC, "secret_file": str(self.scene.folder / "secret"), "endpoint": "token"},
            {"appid": MINI, "secret_env": "SECRET_OF_MINI", "type": "mini_program"},
            {"appid": OTHER, "secret": new[f"AppSecret of {OTHER}"], "name": "other"},
            {"appid": THIRD, "secret": new[f"AppSecret of {THIRD}"], "endpoint": "token"},
            {"corpid": CORPID, "agent": AGENT, "type": "wecom", "secret": new["WeCom's secret"], "keep": list(KEPT)},
        ]
        return "\n".join(
            "[[account]]\n" + "".join(f"{name} = {json.dumps(it, ensure_ascii=False)}\n" for name, it in table.items())
            for table in tables
        )

    def _clients(self) -> str:
        scopes = {"reader": ["read", "sign"], "reporter": ["read", "report"], "watcher": ["status"], "nobody": ["sign"]}
        return "\n".join(
            f'[[client]]\nname = "{name}"\nkey_sha256 = "{digest(self.scene.secrets[f"key of {name}"])}"\n'
            f"scopes = {json.dumps(given)}\n"
            for name, given in scopes.items()
        )

    # What happens

    def run(self) -> None:
        """Have everything happen, and keep what left."""
        patch = self._exits.enter_context(pytest.MonkeyPatch.context())
        for issuer in (access_token, ticket, wecom):
            random_text = issuer.random_text
            patch.setattr(issuer, "random_text", lambda *args, make=random_text: self.scene.issue(make(*args)))
        self._start()
        self._call_tasks()
        self._ask_over_http()
        self._fail_at_wechat()
        self._lose_the_store()
        self._look()
        self._use_commands()
        self.stack.stop()
        self._collect()

    def _start(self) -> None:
        port = self.web.rpartition(":")[2]
        self.stack.worker("--loglevel=DEBUG", "--include=tracker", "--task-events")
        self.stack.run("celery", "--app=tokenworker", "beat", "--loglevel=DEBUG", TOKENWORKER_LOG="json")
        self.stack.run("debugged", "web", f"--port={port}")
        options = ("--address=127.0.0.1", f"--port={self.flower.rpartition(':')[2]}", "--logging=debug", "--debug")
        self.stack.run("celery", "--app=tokenworker", "flower", *options)
        wait_for(lambda: len(self._values()) == 8, timeout=40)
        ports = [int(url.rpartition(":")[2]) for url in (self.web, self.flower)]
        wait_for(lambda: all(map(is_open, ports)), timeout=40)

    def _values(self) -> list[str]:
        names: list[tuple[str, tuple[str, ...]]] = [(STABLE, KEPT), (f"{CORPID}/{AGENT}", KEPT)]
        names += [(appid, KEPT[:1]) for appid in (CLASSIC, MINI, OTHER, THIRD)]
        keys = [f"tokenworker:{{{account}}}:{name}" for account, kept in names for name in kept]
        # Just after its start it loads what it had.
        with self.store.client() as client, suppress(redis.exceptions.BusyLoadingError):
            return [value.decode() for value in client.mget(keys) if value]
        return []

    def _token(self, appid: str = STABLE) -> str:
        with self.store.client() as client:
            return bytes(client.get(f"tokenworker:{{{appid}}}:access_token") or b"").decode()

    def _call_tasks(self) -> None:
        """Call tasks as services do, well and badly."""
        given = self.scene.secrets
        token, secret = given["token as an argument"], given["AppSecret as an argument"]
        calls: list[tuple[str, list[Any], dict[str, Any]]] = [
            ("get_token", [STABLE], {}),
            ("get_token", [CLASSIC], {"rejected": fingerprint(self._token(CLASSIC))}),
            ("get_token", [STABLE, token], {}),
            ("get_token", [secret], {}),
            ("get_token", [], {"appid": token}),
            ("get_token", [STABLE, token, secret], {}),
            ("get_credential", [], {"account": STABLE, "name": "jsapi_ticket"}),
            ("get_credential", [STABLE, secret], {}),
            ("get_credential", [], {"account": STABLE, "name": [token]}),
            ("sign_url", ["https://shop.example/?a=1", STABLE], {}),
            ("sign_url", [f"ftp://{token}", STABLE], {}),
            ("refresh_token", [STABLE], {"early": True, "name": token}),
            ("refresh_token", [OTHER], {"rejected": {"value": token}}),
            ("refresh_token", [OTHER], {"force": True}),
            ("status", [], {"state": secret}),
        ]
        with Celery("caller", broker=self.queue.url, backend=self.queue.url, set_as_current=False) as app:
            app.conf.broker_connection_retry_on_startup = True
            for name, args, kwargs in calls:
                sent = app.send_task(f"tokenworker.{name}", args, kwargs, queue="tokenworker", ignore_result=False)
                try:
                    answer = repr(sent.get(timeout=20))
                except Exception as error:  # noqa: BLE001  what is said of it is what is looked at
                    self.scene.tell("errors of tasks", f"{error!r} {error}")
                    continue
                if name not in ("get_token", "get_credential"):
                    self.scene.tell("answers of tasks", answer)

    def _ask_over_http(self) -> None:
        """Ask as services do, well and badly; answers that hold credentials are none of those that are looked at."""
        key, given = self.scene.secrets["key of reporter"], self.scene.secrets
        one = f"{self.web}/v1/credentials/{STABLE}/access_token"
        wait_for(lambda: ask(one, key).status == 200, timeout=20)
        classic = f"cgi-bin/token?grant_type=client_credential&appid={STABLE}"
        assert ask(f"{self.web}/{classic}&secret={key}").status == 200
        value = quote(ask(one, key).json["value"], safe="")
        token, wrong = quote(given["token as an argument"], safe=""), given["key that is none"]
        basic = b64encode(f"x:{given['password that is none']}".encode()).decode()
        self._see("refusals", ask(one, wrong), ask(one, given["key of nobody"]))
        self._see(
            "refusals", ask(f"{self.web}/cgi-bin/token?grant_type=client_credential&appid={STABLE}&secret={wrong}")
        )
        self._see("refusals", ask(f"{self.web}/v1/credentials/{token}/access_token", key))
        self._see("refusals", ask(f"{self.web}/v1/credentials/{STABLE}/{token}", key), ask(f"{self.web}/{token}", key))
        self._see("refusals", ask(f"{self.web}/v1/status?state={token}&account={value}", given["key of watcher"]))
        self._see("refusals", ask(f"{self.web}/", Authorization=f"Basic {basic}"), ask(f"{self.web}/metrics", wrong))
        self._see("refusals", ask(f"{one}/reject", key, body={"value": token, "fingerprint": value}))
        self._see("refusals", ask(f"{one}/reject", key, body=b'{"value": "' + key.encode()))
        self._see("refusals", ask(f"{one}?access_token={value}&key={wrong}", method="PUT"))
        stable = {"grant_type": "client_credential", "appid": STABLE, "secret": wrong, "force_refresh": True}
        self._see("refusals", ask(f"{self.web}/cgi-bin/stable_token", body=stable))
        self._see("refusals", ask(f"{self.web}/cgi-bin/ticket/getticket?type=jsapi&access_token={token}"))
        self._send_nonsense(f"GET /cgi-bin/token?secret={key}&access_token={value} HTTP/9.9\r\n\r\n")
        self._send_nonsense(f"POST /v1/x HTTP/1.1\r\nAuthorization Bearer {key}\r\nHost:\r\n\r\n")
        for header in ("Content-Length", "Transfer-Encoding", "Host"):
            self._send_nonsense(f"POST /v1/x HTTP/1.1\r\nHost: a\r\n{header}: {key}\r\n\r\n")
        self.sandbox.revoke(STABLE)
        self._see("reports", ask(f"{one}/reject", key, body={"value": self._token()}))
        wait_for(lambda: self.sandbox.verdict(self._token()).works, timeout=15)

    def _see(self, where: str, *answers: Answer) -> None:
        for answer in answers:
            self.scene.tell(f"web's {where}", f"{answer.status} {answer.headers} {answer.body.decode()}")

    def _send_nonsense(self, request: str) -> None:
        with socket.create_connection(("127.0.0.1", int(self.web.rpartition(":")[2])), timeout=5) as raw:
            raw.sendall(request.encode())
            with suppress(OSError):
                self.scene.tell("web's refusals", raw.recv(65_536).decode())

    def _fail_at_wechat(self) -> None:
        """Have WeChat, and what stands before it, answer badly, and repeat what it was sent."""
        said = [self.scene.secrets[f"AppSecret of {appid}"] for appid in (STABLE, CLASSIC)] + [self._token()]
        echo = " ".join([*said, *(quote(text, safe="") for text in said)])
        faults: list[dict[str, Any]] = [
            {"kind": "errcode", "errcode": 40125, "errmsg": f"invalid appsecret {echo} rid: 1a-2b-3c"},
            {"kind": "errcode", "errcode": 40164, "errmsg": "invalid ip 1.2.3.4, not in whitelist"},
            {"kind": "status", "status": 502, "body": f"<h1>{echo}</h1>"},
            {"kind": "body", "body": json.dumps({"access_token": [echo], "expires_in": 7200})},
            {"kind": "body", "body": f"<html>{echo}"},
            {"kind": "truncated"},
            {"kind": "reset"},
            {"kind": "hang"},
            {"kind": "redirect", "location": f"/elsewhere?secret={quote(said[0], safe='')}"},
        ]
        with Celery("caller", broker=self.queue.url, backend=self.queue.url, set_as_current=False) as app:
            for start in range(0, len(faults), 3):
                for appid, fault in zip((CLASSIC, OTHER, THIRD), faults[start : start + 3], strict=True):
                    path = "stable_token" if appid == OTHER else "cgi-bin/token"
                    self.sandbox.fault(times=1, appid=appid, path=path, **fault)
                wait_for(lambda: self._met_faults(app), timeout=40, pause=0.3)

    def _met_faults(self, app: Any) -> bool:
        """Ask for what may meet a fault; return whether none is left. Some meet one by themselves, later."""
        left = [fault["appid"] for fault in self.sandbox.faults.describe()]
        for appid in left:
            ask_for = {"appid": appid, "early": appid != OTHER, "force": appid == OTHER}
            sent = app.send_task("tokenworker.refresh_token", kwargs=ask_for, queue="tokenworker")
            with suppress(Exception):
                self.scene.tell("answers of tasks", repr(sent.get(timeout=1)))
        return not left

    def _lose_the_store(self) -> None:
        """Have everybody complain of a store that is gone."""
        self.store.kill()
        self._see(
            "refusals", ask(f"{self.web}/v1/credentials/{OTHER}/access_token", self.scene.secrets["key of nobody"])
        )
        self._see("pages", ask(f"{self.web}/readyz"), ask(f"{self.web}/metrics", self.scene.secrets["key of watcher"]))
        self.scene.tell("commands", _said(command(self.stack, "check")))
        self.store.start()
        wait_for(lambda: len(self._values()) == 8, timeout=40)

    def _look(self) -> None:
        """Look at all pages that are not for credentials."""
        key = self.scene.secrets["key of watcher"]
        for path in ("/", "/v1/status?limit=100", "/metrics", "/healthz", "/readyz", "/v1/openapi.json"):
            self._see("pages", ask(self.web + path, key))
        login = self._login("password of Flower")
        for path in FLOWER:
            self._see_flower(path, login)
        tasks = json.loads(self._see_flower("/api/tasks?limit=200", login))
        assert len(tasks) > MOST_TASKS / 2
        for uuid in list(tasks)[:MOST_TASKS]:
            self._see_flower(f"/task/{uuid}", login)
        self._see_flower("/workers", self._login("password that is none at Flower"))

    def _login(self, name: str) -> str:
        return b64encode(f"flower:{self.scene.secrets[name]}".encode()).decode()

    def _see_flower(self, path: str, login: str) -> str:
        answer = ask(self.flower + path, Authorization=f"Basic {login}")
        self.scene.tell("Flower's pages", f"{path} {answer.status} {answer.headers} {answer.body.decode()}")
        return answer.body.decode()

    def _use_commands(self) -> None:
        """Use the commands of Celery and of tokenworker."""
        self.stack.run("celery", "--app=tokenworker", "report").wait(30)
        with Celery("caller", broker=self.queue.url, set_as_current=False) as app:
            inspect = app.control.inspect(destination=["w0@test"], timeout=5)
            for name in INSPECTED:
                answer = getattr(inspect, name)()
                assert answer, name
                self.scene.tell("answers of workers", f"{name} {answer}")
        proxy = f"http://user:{quote(self.scene.secrets['password of the proxy'], safe='')}@127.0.0.1:1"
        self.stack.run("debugged", "check", "--call", WECHAT_PROXY=proxy).wait(40)
        self.stack.run("debugged", "status", "--json", "--all").wait(30)
        self.stack.run("debugged", "events", "--json", "--limit=200").wait(30)
        self.stack.run("debugged", "refresh", OTHER, "--force").wait(30)
        self.stack.run("debugged", "get", self.scene.secrets["AppSecret as an argument"]).wait(30)

    def _collect(self) -> None:
        """Keep what was written to files and to Redis."""
        self.scene.tell("logs", self.stack.logs())
        for file in self.scene.folder.rglob("flower.db*"):
            self.scene.tell("Flower's kept state", file.read_bytes().decode("latin-1"))
        self.scene.tell("what an error tracker sees", (self.scene.folder / "tracked.txt").read_text(encoding="utf-8"))
        for name, said in self.queue.commands():
            self.scene.tell(_kind_of(name), said)
        with self.store.client() as client:
            for key in client.scan_iter(count=1000):
                self.scene.tell(_place_of(key.decode()), f"{key.decode()} {_content(client, key)}")


def _said(run: Any) -> str:
    return f"{run.stdout} {run.stderr}"


def _kind_of(command: str) -> str:
    """Return what was done at the queue: a result was kept or published, a message sent, or anything else."""
    if "celery-task-meta-" in command:
        return "results of tasks"
    if re.search(r"\b(LPUSH|RPUSH|HSET) (tokenworker|unacked)", command):
        return "messages of tasks"
    return "events, and all else at the queue"


def _place_of(key: str) -> str:
    is_credential = re.fullmatch(r"tokenworker:\{[^}]+\}:[a-z_]+", key) or key == COPY
    return "credentials in Redis" if is_credential else "all else in Redis"


def _content(client: redis.Redis, key: bytes) -> str:
    read: dict[Any, Callable[[], Any]] = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: client.lrange(key, 0, -1),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
    }
    return repr(read[client.type(key)]())
