"""What deploy/kubernetes describes: file by file, and put together by kubectl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

Document = dict[str, Any]

HERE = Path(__file__).parent.parent.parent / "deploy" / "kubernetes"
#: Whatever holds a kustomization.
FOLDERS = sorted(path.parent for path in HERE.rglob("kustomization.yaml"))
#: Kinds that Kubernetes knows only when somebody brings their definitions.
STRANGERS = ("ServiceMonitor", "PrometheusRule")


def documents(folder: Path) -> list[Document]:
    """Return what the resources of a folder describe."""
    return [document for name in kustomization(folder)["resources"] for document in _read(folder / name)]


def kustomization(folder: Path) -> Document:
    """Return a folder's kustomization."""
    [found] = _read(folder / "kustomization.yaml")
    return found


def build(folder: Path) -> Iterator[Document]:
    """Put a folder together; skips the test where nothing can do that."""
    command = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    if not shutil.which(command[0]):
        pytest.skip("needs kubectl or kustomize")
    output = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True).stdout
    yield from yaml.safe_load_all(output)


def pods(found: list[Document]) -> dict[str, Document]:
    """Return the spec of each pod that there will be, by the name of its component."""
    templates = [
        document["spec"]["template"] for document in found if document["kind"] in ("Deployment", "StatefulSet")
    ]
    return {template["metadata"]["labels"]["app.kubernetes.io/component"]: template for template in templates}


def environ(container: Document) -> dict[str, Document]:
    """Return a container's own variables, by name."""
    return {variable["name"]: variable for variable in container.get("env", ())}


def of_kind(found: list[Document], kind: str) -> dict[str, Document]:
    """Return those of a kind, by name."""
    return {document["metadata"]["name"]: document for document in found if document["kind"] == kind}


def _read(path: Path) -> list[Document]:
    if path.is_dir():
        return documents(path)
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
