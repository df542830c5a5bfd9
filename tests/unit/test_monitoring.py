"""The page about monitoring has every metric, and no other; every cause has a row."""

from __future__ import annotations

import re

import pytest
from support.pages import text
from support.scraped import table

from tokenworker.refresh.causes import Cause
from tokenworker.web.metrics.series import METRICS

PAGES = ["docs/monitoring.md", "docs/zh-CN/monitoring.md"]

#: Why one is only ever probed.
PROBED = {"failover", "doubtful"}


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_is_on_the_page_and_the_other_way_round(page: str) -> None:
    known = {metric.name: (metric.type, set(metric.labels)) for metric in METRICS}
    known["tokenworker_fetch_seconds"] = ("histogram", {"le"})

    assert table(page) == known


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_that_the_page_speaks_of_is_there(page: str) -> None:
    named = set(re.findall(r"`(tokenworker_\w+)", text(page)))

    assert named == {metric.name for metric in METRICS}


@pytest.mark.parametrize("page", PAGES)
def test_every_cause_of_a_fetch_is_on_the_page(page: str) -> None:
    rows = text(page).partition("| `cause` |")[2].partition("\n\n")[0]
    named = {word for row in rows.splitlines() for word in re.findall(r"`(\w+)`", row.split(" | ")[0])}

    assert named == {cause.name.lower() for cause in Cause} - PROBED


def test_names_follow_prometheus() -> None:
    for metric in METRICS:
        assert metric.name.endswith("_total") is (metric.type == "counter"), metric.name
        assert not metric.help.endswith("."), metric.name
    assert len({metric.name for metric in METRICS}) == len(METRICS)
