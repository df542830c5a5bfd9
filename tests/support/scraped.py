"""What `/metrics` says, read by Prometheus's own library."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from support.processes import ROOT
from support.web import Web

#: Samples by name, and then by the values of their labels.
Samples = dict[str, dict[tuple[str, ...], float]]


def parsed(text: str) -> Samples:
    """Return the samples of a text, which must hold none twice."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found = samples.setdefault(sample.name, {})
            assert tuple(sample.labels.values()) not in found, sample
            found[tuple(sample.labels.values())] = sample.value
    return samples


def scraped(web: Web, key: str = "") -> Samples:
    """Scrape, and return the samples without the prefix of their names."""
    answer = web.ask("/metrics", key)
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {name.removeprefix("tokenworker_"): found for name, found in parsed(answer.body.decode()).items()}


def table(page: str) -> dict[str, tuple[str, set[str]]]:
    """Return the type and the labels of each metric in the tables of a page."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `tokenworker_")]
    return {row[0].strip("| `"): (row[1].strip("`"), set(re.findall(r"`(\w+)`", row[2]))) for row in rows}
