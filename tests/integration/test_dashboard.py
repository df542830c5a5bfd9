"""The dashboard: each of its queries returns data of an installation in which all that it shows has happened.

And so does whatever the alerts look at.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from support.processes import RedisServer, Stack, wait_for, wait_for_beat
from support.prometheus import DEPLOY, Prometheus
from support.web import Web, clients_file

from tokenworker.sandbox import DEMO_APPID, DEMO_SECRET, Sandbox

DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "tokenworker.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
SERIES = [(rule["alert"], it) for rule in ALERTS for it in re.findall(r"tokenworker_\w+(?:\{.*?\})?", rule["expr"])]

#: What Grafana puts in place of its variables.
CHOSEN = {"$account": ".*", "$__rate_interval": "1m"}
ACCOUNTS = f"""
[[account]]
appid = "{DEMO_APPID}"
secret = "{DEMO_SECRET}"
keep = ["access_token", "jsapi_ticket"]

[[account]]
appid = "wx00000000000blocked"
secret = "{"f" * 32}"
quota = 100
"""


def filled_in(query: str, job: str) -> str:
    for variable, value in {**CHOSEN, "$job": job}.items():
        query = query.replace(variable, value)
    return query


@pytest.fixture
def stack(make_stack: Callable[..., Stack], server: RedisServer, sandbox: Sandbox, tmp_path: Path) -> Stack:
    """A stack with an account that is well and one that WeChat blocks."""
    accounts = tmp_path / "accounts.toml"
    accounts.write_text(ACCOUNTS)
    return make_stack(server, sandbox, WECHAT_APPID="", WECHAT_SECRET="", TOKENWORKER_ACCOUNTS=str(accounts))


def live_through_everything(client: redis.Redis, sandbox: Sandbox, web: Web, key: str) -> None:
    """Have a token read, die before its time, and a service report that; and somebody ask without a key."""
    where, path = f"tokenworker:{{{DEMO_APPID}}}:access_token", f"/v1/credentials/{DEMO_APPID}/access_token"
    wait_for_beat(client)
    before = wait_for(lambda: client.get(where))
    assert isinstance(before, bytes)
    assert web.ask(path).status == 401
    assert web.ask(path, key).status == 200
    sandbox.revoke()
    assert web.ask(f"{path}/reject", key, {"value": before.decode()}).status < 300
    wait_for(lambda: client.get(where) not in (None, before))


def test_every_query_returns_data(
    stack: Stack, server: RedisServer, client: redis.Redis, sandbox: Sandbox, tmp_path: Path
) -> None:
    prometheus = Prometheus(tmp_path / "prometheus")
    keys = clients_file(tmp_path, shop="", prometheus='scopes = ["status"]')
    settings = {
        "TOKENWORKER_TIME_SCALE": stack.environ["TOKENWORKER_TIME_SCALE"],
        "TOKENWORKER_WEB_CLIENTS": str(tmp_path / "clients.toml"),
    }
    stack.worker()
    stack.beat()
    with Web(server.url, **settings) as web, Web(server.url, **settings, TOKENWORKER_METRICS="totals") as totals:
        live_through_everything(client, sandbox, web, keys["shop"])
        with prometheus.scraping({"each": web.port, "totals": totals.port}, keys["prometheus"]):
            asked = [(title, filled_in(query, job)) for job in ("each", "totals") for title, query in QUERIES]
            asked += SERIES
            deadline = time.monotonic() + 60
            while (empty := prometheus.empty(asked)) and time.monotonic() < deadline:
                time.sleep(0.5)

    assert len(asked) > 50
    assert empty == []


def test_its_variables_are_those_of_its_queries() -> None:
    listed = {f"${variable['name']}" for variable in DASHBOARD["templating"]["list"]} | {"${datasource}"}
    used = set(re.findall(r"\$\{?\w+\}?", json.dumps(PANELS))) - {"$__rate_interval"}

    assert used <= listed
    assert {f"${name}" for name in ("job", "account")} <= used


def test_every_panel_says_what_it_is_for_and_has_room_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    assert [panel["title"] for panel in PANELS if not panel["description"]] == []
