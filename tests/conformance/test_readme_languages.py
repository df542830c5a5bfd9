"""The README's examples in other languages read a token; `install` gets what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, RedisServer
from pages import ALL, APPID, Block
from reading import put

from tokenworker.store import TokenStore

pytestmark = pytest.mark.conformance

HERE = ROOT / ".venv" / "conformance"
TOKEN = "t" * 136

GO = """package main

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

func main() {{
	ctx := context.Background()
	{code}
	if err != nil {{
		panic(err)
	}}
	fmt.Println(token)
}}
"""
JAVA = """public class Example {{
    public static void main(String[] args) {{
        {code}
    }}
}}
"""


def program(block: Block, port: int, folder: Path) -> list[str]:
    """Write a program around an example; returns the command that runs it."""
    code = block.code.replace("6389", str(port))
    match block.language:
        case "js":
            file = HERE / "node" / f"readme-{port}.mjs"
            file.write_text(f"{code}\nconsole.log(token);\nredis.disconnect();\n", encoding="utf-8")
            return needs(["node", str(file)], HERE / "node" / "node_modules" / "ioredis")
        case "php":
            (folder / "example.php").write_text(f"<?php\n{code}\necho $token;\n", encoding="utf-8")
            return needs(["php", str(folder / "example.php")], Path("/usr/share/php/Redis"), check="redis")
        case "go":
            (HERE / "go" / "main.go").write_text(GO.format(code=code), encoding="utf-8")
            return needs(["go", "run", "-C", str(HERE / "go"), "."], HERE / "go" / "go.sum")
    (folder / "Example.java").write_text(
        JAVA.format(code=code.replace("    String", "String").replace("}\n", "    System.out.println(token);\n}\n")),
        encoding="utf-8",
    )
    return needs(["java", "-cp", f"{HERE / 'java'}/*", str(folder / "Example.java")], HERE / "java")


def needs(command: list[str], path: Path, check: str = "") -> list[str]:
    """Skip, with a reason, where something is not there."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not here")
    if check:
        loaded = subprocess.run([command[0], "-m"], capture_output=True, text=True, check=False).stdout.split()
        if check not in loaded:
            pytest.skip(f"{command[0]} has no {check}")
    elif not path.exists():
        pytest.skip(f"{path.name} is not installed; tests/conformance/install does that")
    return command


EXAMPLES = [block for block in ALL if block.language in ("js", "php", "go", "java") and APPID in block.code]


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_in_another_language_reads_the_token(
    block: Block, server: RedisServer, store: TokenStore, tmp_path: Path
) -> None:
    put(store, TOKEN, appid=APPID)
    command = program(block, server.port, tmp_path)
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=110)

    assert run.stdout.strip() == TOKEN, run.stderr
