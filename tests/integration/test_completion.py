"""Tab completes commands, options and accounts, and never writes anything else into the line that is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.processes import RedisServer

from tokenworker.cli.commands import main
from tokenworker.cli.completion import SHELLS
from tokenworker.credential import CredentialId
from tokenworker.store.store import Store

Complete = Callable[..., list[str]]

#: Has bash complete the last of some words, as it does when somebody presses Tab there.
BASH = """
eval "$(tokenworker completion bash)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tokenworker_completion tokenworker
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose `bin` has our command: the tests may run where it is not installed."""
    program = tmp_path / "bin" / "tokenworker"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom tokenworker.cli.commands import main\nmain(prog_name='tokenworker')\n"
    )
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def complete(server: RedisServer, folder: Path) -> Complete:
    def run(*words: str, **environ: str) -> list[str]:
        settings = {"REDIS_URL": server.url, "PATH": f"{folder}/bin:{os.environ['PATH']}", "LANG": "C.UTF-8"}
        command = ["bash", "--norc", "-c", BASH, "bash", "tokenworker", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=settings | environ, check=False, timeout=30
        )
        assert done.stderr == ""
        return done.stdout.split()

    return run


def test_bash_completes_commands_and_accounts(complete: Complete, store: Store) -> None:
    store.schedule.add([CredentialId("wx1"), CredentialId("wx2"), CredentialId("ww1/7", "agent_ticket")])
    store.notes.rename({"wx1": "shop", "wx2": "官方旗舰店", "ww1/7": "two words; $(touch x)"})

    assert complete("st") == ["status"]
    assert complete("get", "") == ["ww1/7", "wx1", "shop", "wx2", "官方旗舰店"]
    assert complete("events", "--follow", "sh") == ["shop"]
    assert complete("get", "shop", "--name", "a") == ["access_token", "agent_ticket"]


def test_where_redis_is_not_there_nothing_is_offered_and_nothing_said(complete: Complete) -> None:
    assert complete("get", "", REDIS_URL="redis://127.0.0.1:1/0") == []
    assert complete("get", "--name", "", REDIS_URL="nonsense") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_that_asks_for_what_it_understands(
    shell: str, store: Store, server: RedisServer
) -> None:
    store.schedule.add([CredentialId("wx1")])
    store.notes.rename({"wx1": "shop"})
    script = CliRunner().invoke(main, ["completion", shell]).stdout
    words = {"COMP_WORDS": "tokenworker get sh", "COMP_CWORD": "sh" if shell == "fish" else "2"}
    environ = words | {"REDIS_URL": server.url, "_TOKENWORKER_COMPLETE": f"{shell}_complete"}
    offered = CliRunner().invoke(main, [], env=environ, prog_name="tokenworker").stdout

    assert f"_TOKENWORKER_COMPLETE={shell}_complete" in script
    assert "shop" in offered.replace(",", "\n").split()
    # The other shells show what else it is called.
    assert ("wx1" in offered) == (shell != "bash")
