"""The alerts: what they say, and by promtool, when they fire."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml
from support.prometheus import DEPLOY, ROOT, program

from tokenworker.web.metrics.series import METRICS

HERE = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "tokenworker.json"
ALERTS: dict[str, Any] = yaml.safe_load((HERE / "alerts.yml").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
TESTS: list[dict[str, Any]] = yaml.safe_load((HERE / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["annotations"].keys() == {"summary", "description", "action"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert not rule["annotations"]["summary"].endswith(".")
    assert re.search(r"[.?]$", rule["annotations"]["action"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_several_processes_that_say_the_same_make_one_alert(rule: dict[str, Any]) -> None:
    metrics = re.findall(r"\btokenworker_\w+|\bup\b", rule["expr"])

    assert len(re.findall(r"(?:max|sum) by \(job", rule["expr"])) >= len(metrics) - rule["expr"].count("absent")


def test_every_metric_that_is_asked_for_exists() -> None:
    known = {metric.name for metric in METRICS} | {
        f"tokenworker_fetch_seconds_{it}" for it in ("bucket", "sum", "count")
    }
    asked = "\n".join(
        path.read_text(encoding="utf-8") for path in (HERE / "alerts.yml", HERE / "alerts.test.yml", DASHBOARD)
    )

    assert set(re.findall(r"\btokenworker_[a-z_]+", asked)) <= known


def test_every_alert_is_seen_to_fire() -> None:
    fired = {
        test["alertname"] for case in TESTS for test in case.get("alert_rule_test", ()) if test.get("exp_alerts")
    } | {
        name
        for case in TESTS
        for test in case.get("promql_expr_test", ())
        for sample in test["exp_samples"]
        for name in re.findall(r'alertname="(\w+)"', sample["labels"])
    }

    assert fired == {rule["alert"] for rule in RULES}


def test_they_fire_when_they_should_and_not_before() -> None:
    done = subprocess.run(
        [program("promtool"), "test", "rules", "alerts.test.yml"], cwd=HERE, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["docs/monitoring.md", "docs/zh-CN/monitoring.md"])
def test_every_alert_is_on_the_page_of_monitoring_and_the_other_way_round(page: str) -> None:
    named = set(re.findall(r"`(Tokenworker\w+)`", (ROOT / page).read_text(encoding="utf-8")))

    assert named == {rule["alert"] for rule in RULES}


def test_the_operator_gets_the_same_alerts() -> None:
    [rule] = yaml.safe_load_all(
        (DEPLOY / "kubernetes/components/rules/prometheusrule.yaml").read_text(encoding="utf-8")
    )

    assert rule["spec"] == ALERTS
