"""Servers that load the ACL files of deploy/redis, with a password for each user."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import redis

from support.processes import ROOT, RedisServer
from tokenworker.store.connect import connect

FOLDER = ROOT / "deploy" / "redis"
#: Stands in the files where a password's SHA-256 belongs; no password has it.
NOBODYS = "#" + 64 * "0"

_USER = re.compile(r"^user (\S+) on ", re.MULTILINE)


def text(name: str) -> str:
    """Return what a file says."""
    return (FOLDER / name).read_text(encoding="utf-8")


def users(name: str) -> list[str]:
    """Return the users of a file who can log in."""
    return _USER.findall(text(name))


class GuardedServer(RedisServer):
    """A server that knows the users of a file alone; the password of each is its name, backwards."""

    def __init__(self, folder: Path, name: str, **given: Any) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder, **given)
        file = folder / "users.acl"
        file.write_text(with_passwords(name), encoding="utf-8")
        self.options = ("--aclfile", str(file))

    def url_of(self, user: str) -> str:
        """Return the URL of the server for one of its users."""
        return self.url.replace("//", f"//{user}:{user[::-1]}@")

    def admin(self) -> redis.Redis:
        """Return a client that may do everything."""
        return self.client_of("admin")

    def client_of(self, user: str) -> redis.Redis:
        """Return a client of one of its users."""
        client = connect(self.url_of(user))
        assert isinstance(client, redis.Redis)
        return client

    def refusals(self) -> list[str]:
        """Return whom the server refused what, in short."""
        with self.admin() as client:
            entries = client.acl_log()
        return [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in entries]


def with_passwords(name: str) -> str:
    """Return what a file says, with the password of each user: its name, backwards."""
    return "".join(f"{_with_password(line)}\n" for line in text(name).splitlines())


def _with_password(line: str) -> str:
    user = line.split()[1]
    return line.replace(NOBODYS, "#" + sha256(user[::-1].encode()).hexdigest())
