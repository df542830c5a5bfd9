"""The pages' examples in other languages read a token; `install` gets what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.credentials import put
from support.pages import ALL, APPID, Block
from support.processes import ROOT, RedisServer

from tokenworker.store.store import Store

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


#: The program that runs a language, and what `install` gets for it; PHP's extension comes from elsewhere.
NEEDS = {
    "js": ("node", HERE / "node" / "node_modules" / "ioredis"),
    "php": ("php", Path("/")),
    "go": ("go", HERE / "go" / "go.sum"),
    "java": ("java", HERE / "java"),
}


def skip_without_what_it_needs(language: str) -> None:
    """Skip, with a reason, where something is not there."""
    name, path = NEEDS[language]
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here")
    if not path.exists():
        pytest.skip(f"{path.name} is not installed; tests/conformance/install does that")
    if language == "php":
        loaded = subprocess.run([found, "-m"], capture_output=True, text=True, check=True).stdout.split()
        if "redis" not in loaded:
            pytest.skip("php has no redis: apt-get install php-redis")


def program(block: Block, port: int, folder: Path) -> list[str]:
    """Write a program around an example; returns the command that runs it."""
    code = block.code.replace("6389", str(port))
    match block.language:
        case "js":
            file, text = HERE / "node" / f"readme-{port}.mjs", f"{code}\nconsole.log(token);\nredis.disconnect();\n"
            command = ["node", str(file)]
        case "php":
            file, text = folder / "example.php", f"<?php\n{code}\necho $token;\n"
            command = ["php", str(file)]
        case "go":
            file, text = HERE / "go" / "main.go", GO.format(code=code)
            command = ["go", "run", "-C", str(HERE / "go"), "."]
        case _:
            shown = code.replace("    String", "String").replace("}\n", "    System.out.println(token);\n}\n")
            file, text = folder / "Example.java", JAVA.format(code=shown)
            command = ["java", "-cp", f"{HERE / 'java'}/*", str(file)]
    file.write_text(text, encoding="utf-8")
    return command


EXAMPLES = [block for block in ALL if block.language in ("js", "php", "go", "java") and APPID in block.code]


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_in_another_language_reads_the_token(
    block: Block, server: RedisServer, store: Store, tmp_path: Path
) -> None:
    skip_without_what_it_needs(block.language)
    put(store, TOKEN, account=APPID)
    command = program(block, server.port, tmp_path)
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=110)

    assert run.stdout.strip() == TOKEN, run.stderr
