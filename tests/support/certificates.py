"""An authority of the tests' own, what it issues, and a server that speaks TLS."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from shutil import which
from urllib.parse import urlencode

import pytest
import trustme

from support.processes import RedisServer, free_port


class Certificates:
    """The files of an authority, and of a certificate for a server with some names and for a client, in a folder."""

    def __init__(self, folder: Path, *hosts: str) -> None:
        folder.mkdir(parents=True)
        authority = trustme.CA()
        self.authority = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.server = _issued(authority, folder / "server", *hosts)
        self.client = _issued(authority, folder / "client", "a-client.example")

    def options(self, *, client: bool = False) -> dict[str, str]:
        """Return redis-py's options to trust it, with a client's certificate or without."""
        trusted = {"ssl_ca_certs": str(self.authority)}
        certificate, key = self.client
        return trusted | ({"ssl_certfile": str(certificate), "ssl_keyfile": str(key)} if client else {})

    def query(self, *, client: bool = False) -> str:
        """Return the same as the query of a URL."""
        return urlencode(self.options(client=client), safe="/")

    def settings(self, *, clients: bool = False) -> dict[str, str]:
        """Return a server's settings: its certificate, and whether it wants one of its clients."""
        certificate, key = self.server
        return {
            "tls-ca-cert-file": str(self.authority),
            "tls-cert-file": str(certificate),
            "tls-key-file": str(key),
            "tls-auth-clients": "yes" if clients else "no",
        }

    def settings_alone(self, port: int, *, clients: bool = False) -> dict[str, str]:
        """Return the settings of a server that speaks TLS alone, to its master too."""
        return {"port": "0", "tls-port": str(port), "tls-replication": "yes", **self.settings(clients=clients)}


def _issued(authority: trustme.CA, folder: Path, *hosts: str) -> tuple[Path, Path]:
    folder.mkdir()
    issued = authority.issue_cert(*hosts)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


@cache
def program_with_tls() -> Path:
    """Return a server that can speak TLS: the one that comes along can't. Skips the test where there is none."""
    program = which("redis-server")
    if program is None:
        pytest.skip("no redis-server is on the PATH, and the server that comes along has no TLS")
    command = [program, "--port", "0", "--tls-port", str(free_port())]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
    # That it misses a certificate says that it is all it misses.
    if "No tls-cert-file" not in said:
        pytest.skip("the redis-server on the PATH has no TLS")
    return Path(program)


class TlsServer(RedisServer):
    """A server that speaks TLS alone."""

    def __init__(self, folder: Path, certificates: Certificates, *, clients: bool = False) -> None:
        folder.mkdir(parents=True)
        super().__init__(folder, program_with_tls())
        self.url = self.url.replace("redis://", "rediss://")
        given = certificates.settings_alone(self.port, clients=clients)
        self.options = tuple(word for name, value in given.items() for word in (f"--{name}", value))
