"""A RabbitMQ of a test's own, from Debian's package: own ports, own node, own folder, on this machine alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from support.processes import free_port, wait_for

#: Where the package keeps the programs; those on the PATH change user and folder.
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")


def absence() -> str:
    """Return why there can be no RabbitMQ here; "" where there can."""
    if not (_PROGRAMS / "rabbitmq-server").exists() or not shutil.which("epmd"):
        return "RabbitMQ is not here: apt-get install --no-install-recommends rabbitmq-server"
    return ""


class RabbitMQ:
    """A server that tests may kill and start again on its port; `end` leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._names = free_port()
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"tokenworker-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "out.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_PROGRAMS / "rabbitmq-server"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environ,
                start_new_session=True,
            )
        wait_for(lambda: self._control("await_startup", "--timeout", "30"), timeout=60, pause=0.5)

    def kill(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def end(self) -> None:
        """Stop the server, and the daemon by which Erlang finds names, which it started."""
        if self._process:
            self._control("stop")
            self.kill()
        command = [str(shutil.which("epmd")), "-port", str(self._names), "-kill"]
        subprocess.run(command, env=self._environ, capture_output=True, check=False)

    def _control(self, *words: str) -> bool:
        command = [str(_PROGRAMS / "rabbitmqctl"), *words]
        return subprocess.run(command, env=self._environ, capture_output=True, check=False).returncode == 0
