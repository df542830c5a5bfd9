"""What deploy/kubernetes describes, as far as can be told without a cluster."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from kubernetes_validate import validate
from support.kubernetes import (
    FOLDERS,
    HERE,
    STRANGERS,
    Document,
    build,
    documents,
    environ,
    kustomization,
    of_kind,
    pods,
)

from tokenworker.accounts.files import version
from tokenworker.settings.config import startup_faults
from tokenworker.settings.variables import SETTINGS
from tokenworker.web.clients.registry import Clients

#: The oldest that anybody still gets fixes for, and the newest.
VERSIONS = ("1.30", "1.37")
EXAMPLE = HERE / "example"
ALL = [document for folder in FOLDERS for document in documents(folder) if folder != EXAMPLE]
PODS = pods(ALL)
OURS = [name for name in PODS if name != "redis"]


def containers(name: str) -> list[Document]:
    found: list[Document] = PODS[name]["spec"]["containers"]
    return found


def generated() -> dict[str, set[str]]:
    """Return the keys of each secret of the example, by the secret's name."""
    return {secret["name"]: keys(secret) for secret in kustomization(EXAMPLE)["secretGenerator"]}


def keys(secret: Document) -> set[str]:
    return {text.partition("=")[0] for text in (*secret.get("literals", ()), *secret.get("files", ()))}


def matches(selector: Document, labels: dict[str, str]) -> bool:
    """Say whether a selector means a pod with these labels."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(rule["key"]) in rule["values"] for rule in selector.get("matchExpressions", ())
    )


# Form


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document", [document for document in ALL if document["kind"] not in STRANGERS], ids=lambda d: d["metadata"]["name"]
)
def test_every_object_is_as_the_schema_wants_it(document: Document, version: str) -> None:
    validate(document, version, strict=True)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_is_named_and_every_name_is_a_file(folder: Path) -> None:
    text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    found = kustomization(folder)
    generators = (*found.get("secretGenerator", ()), *found.get("configMapGenerator", ()))
    files = [name for entry in generators for name in (*entry.get("files", ()), *entry.get("envs", ()))]
    named = {*found["resources"], *found.get("components", ()), *files, *re.findall(r"# - (\.\./\S+)", text)}

    assert [name for name in named if not (folder / name).exists()] == []
    assert {path.name for path in folder.iterdir() if path.is_file()} - named == {"kustomization.yaml"}


@pytest.mark.parametrize("folder", [HERE / "base", EXAMPLE], ids=lambda folder: folder.name)
def test_it_can_be_put_together_and_is_right_then(folder: Path) -> None:
    found = list(build(folder))

    for document in found:
        validate(document, VERSIONS[0], strict=True)
    for document in found:
        if document["kind"] in ("Deployment", "StatefulSet"):
            assert matches(document["spec"]["selector"], document["spec"]["template"]["metadata"]["labels"])


def test_it_can_be_put_together_with_all_that_is_left_to_choose(tmp_path: Path) -> None:
    chosen = ["../components/servicemonitor", "../components/rules"]
    shutil.copytree(HERE, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "example" / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    for component in chosen:
        text = text.replace(f"# - {component}", f"- {component}")
    file.write_text(text, encoding="utf-8")

    assert set(STRANGERS) <= {document["kind"] for document in build(file.parent)}


# What runs


def test_there_are_two_workers_one_beat_and_always_one_of_each_that_serves() -> None:
    replicas = {name: document["spec"]["replicas"] for name, document in of_kind(ALL, "Deployment").items()}
    budgets = of_kind(ALL, "PodDisruptionBudget")

    assert replicas == {
        "tokenworker-worker": 2,
        "tokenworker-beat": 1,
        "tokenworker-web": 2,
        "tokenworker-flower": 1,
    }
    assert of_kind(ALL, "Deployment")["tokenworker-beat"]["spec"]["strategy"] == {"type": "Recreate"}
    assert {name: budget["spec"]["minAvailable"] for name, budget in budgets.items()} == {
        "tokenworker-worker": 1,
        "tokenworker-web": 1,
    }


@pytest.mark.parametrize("name", PODS)
def test_every_pod_may_do_little(name: str) -> None:
    pod = PODS[name]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(name):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("name", PODS)
def test_every_pod_is_watched_cheaply(name: str) -> None:
    for container in containers(name):
        probes = {kind: container[f"{kind}Probe"] for kind in ("liveness", "readiness") if f"{kind}Probe" in container}

        assert "liveness" in probes
        assert "celery" not in str(probes)
        assert "python" not in str(probes)
        assert ("/tmp/heartbeat" in str(probes)) is (name in ("worker", "beat"))  # noqa: S108  in a container


def test_web_is_not_taken_out_of_service_for_one_account() -> None:
    assert "readyz" not in str(PODS["web"]["spec"])


# Who knows what


def test_every_setting_that_is_set_exists_and_every_secret_is_in_the_example() -> None:
    secrets = generated()
    for name in OURS:
        for variable, entry in environ(containers(name)[0]).items():
            source = entry.get("valueFrom", {}).get("secretKeyRef")

            assert variable in SETTINGS or variable.startswith("FLOWER_")
            assert source is None or source["key"] in secrets[source["name"]]
        for volume in PODS[name]["spec"]["volumes"]:
            assert "secret" not in volume or volume["secret"]["secretName"] in secrets


def test_the_workers_alone_know_appsecrets() -> None:
    for name in OURS:
        pod = PODS[name]["spec"]

        assert ("tokenworker-accounts" in str(pod)) is (name == "worker")
        assert ("WECHAT" in str(pod) or "TOKENWORKER_ACCOUNTS" in str(pod)) is (name == "worker")


def test_each_role_may_have_a_user_of_its_own_in_redis() -> None:
    for name in OURS:
        assert environ(containers(name)[0])["REDIS_URL"]["valueFrom"]["secretKeyRef"]["key"] == name


def test_the_example_holds_no_real_secret() -> None:
    example = kustomization(EXAMPLE)
    literals = [text for secret in example["secretGenerator"] for text in secret.get("literals", ())]

    assert [text for text in literals if "change-me" not in text] == []
    assert {(EXAMPLE / name).read_text(encoding="utf-8") for name in ("shop", "crm")} == {"change-me\n"}
    assert {len(set(client.digest)) for client in Clients(EXAMPLE / "clients.toml")} == {1}


def test_the_files_of_the_example_are_good(tmp_path: Path) -> None:
    mount = environ(containers("worker")[0])["TOKENWORKER_ACCOUNTS"]["value"].rpartition("/")[0]
    for name in ("accounts.toml", "shop", "crm"):
        text = (EXAMPLE / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(mount, str(tmp_path)), encoding="utf-8")

    assert startup_faults({"TOKENWORKER_ACCOUNTS": str(tmp_path / "accounts.toml")}) == []
    assert {tuple(client.scopes) for client in Clients(EXAMPLE / "clients.toml")} == {("read", "report"), ("status",)}
    for line in (EXAMPLE / "settings.env").read_text(encoding="utf-8").splitlines():
        assert line.partition("=")[0] in SETTINGS


# Who reaches whom


def egress(labels: dict[str, str]) -> list[Document]:
    """Return the rules for what a pod may reach, None for no rules at all."""
    policies = [policy["spec"] for policy in of_kind(ALL, "NetworkPolicy").values()]
    mine = [
        policy for policy in policies if matches(policy["podSelector"], labels) and "Egress" in policy["policyTypes"]
    ]
    assert mine, "not restricted"
    return [rule for policy in mine for rule in policy.get("egress", ())]


def labelled(name: str) -> dict[str, str]:
    labels: dict[str, str] = PODS[name]["metadata"]["labels"]
    return labels | {"app.kubernetes.io/name": "tokenworker"}


@pytest.mark.parametrize("name", PODS)
def test_the_workers_alone_reach_wechat(name: str) -> None:
    ports = {port["port"] for rule in egress(labelled(name)) for port in rule["ports"]}

    assert (443 in ports) is (name == "worker")
    assert (6379 in ports) is (name != "redis")


def test_workers_reach_wechat_and_nothing_inside_on_its_port() -> None:
    [rule] = [rule for rule in egress(labelled("worker")) if any(port["port"] == 443 for port in rule["ports"])]

    assert all(peer["ipBlock"]["except"] for peer in rule["to"])


def test_web_alone_is_open_to_the_cluster() -> None:
    ingress = {
        name: [
            peer
            for policy in of_kind(ALL, "NetworkPolicy").values()
            if matches(policy["spec"]["podSelector"], labelled(name))
            for rule in policy["spec"].get("ingress", ())
            for peer in rule["from"]
        ]
        for name in PODS
    }

    assert [name for name, peers in ingress.items() if {"namespaceSelector": {}} in peers] == ["web"]
    assert ingress["worker"] == ingress["beat"] == ingress["flower"] == []


def test_prometheus_is_told_of_web_and_of_a_key() -> None:
    [monitor] = of_kind(ALL, "ServiceMonitor").values()
    [endpoint] = monitor["spec"]["endpoints"]
    service = of_kind(ALL, "Service")["tokenworker-web"]
    labels: dict[str, Any] = service["metadata"]["labels"] | {"app.kubernetes.io/name": "tokenworker"}

    assert matches(monitor["spec"]["selector"], labels)
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"
    credentials = endpoint["authorization"]["credentials"]
    assert credentials["key"] in generated()[credentials["name"]]
    assert monitor["spec"]["jobLabel"] in labels


# Changes


def test_a_secret_that_is_mounted_whole_is_seen_to_change(tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "accounts.toml").write_text(number)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "accounts.toml").symlink_to("..data/accounts.toml")
    before = version(str(tmp_path / "accounts.toml"))
    (tmp_path / "..next").symlink_to("2")
    (tmp_path / "..next").rename(tmp_path / "..data")

    assert version(str(tmp_path / "accounts.toml")) != before
