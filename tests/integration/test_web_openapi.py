"""The OpenAPI file is true: each answer is one that it lists. `--hypothesis-profile=long` asks 2,000 times."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies as st
from schemathesis import Case, GenerationMode, checks
from schemathesis.core.result import Ok
from support.credentials import put
from support.processes import RedisServer
from support.web import Web, clients_file
from tornado.routing import PathMatches

from tokenworker.settings.config import Config
from tokenworker.store.store import Store
from tokenworker.web.app import make_app
from tokenworker.web.clients.client import new_key
from tokenworker.web.held import Held
from tokenworker.web.plain.openapi import description

SCHEMA = schemathesis.openapi.from_dict(json.loads(description()))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
CHECKS: list[Any] = [
    checks.CHECKS.get_one(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    )
]

#: What our own parameters are often set to: what means something here, so that not all is refused.
KNOWN = {
    "account": ["wx1", "shop", "wx2", "ww1/2"],
    "name": ["access_token", "jsapi_ticket"],
    "appid": ["wx1", "wx2"],
    "corpid": ["ww1", "ww1/2"],
    "access_token": ["token-of-wx1", "token-of-ww1"],
    "grant_type": ["client_credential"],
    "url": ["https://shop.example.com/"],
}


@dataclass(frozen=True)
class Asked:
    """The web face, its keys, and what it answered so far."""

    web: Web
    keys: dict[str, str]
    statuses: Counter[tuple[str, int]]


@pytest.fixture(scope="module")
def asked(shared_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder: Path = tmp_path_factory.mktemp("web")
    keys = clients_file(
        folder, all='accounts = ["wx1", "ww1/2", "gone"]\nscopes = ["read", "report", "sign", "status"]'
    )
    with shared_server.client() as client:
        client.flushall()
        store = Store(client)
        put(store, "token-of-wx1", life=10_000)
        put(store, "ticket-of-wx1", life=10_000, name="jsapi_ticket")
        put(store, "SECRET-token-of-wx2", life=10_000, account="wx2")
        put(store, "token-of-ww1", life=10_000, account="ww1/2")
        store.notes.rename({"wx1": "shop"})
    with Web(
        shared_server.url, TOKENWORKER_WEB_CLIENTS=str(folder / "clients.toml"), TOKENWORKER_TIME_SCALE="0.05"
    ) as web:
        found = Asked(web, keys | {"unknown": new_key(), "none": ""}, Counter())
        yield found
    print(dict(sorted(found.statuses.items())))


def cases() -> st.SearchStrategy[Case[Any]]:
    ways = [operation.as_strategy(generation_mode=mode) for operation in OPERATIONS for mode in GenerationMode]
    return st.one_of(ways)


def made_known(draw: Callable[..., Any], given_: dict[str, Any], keys: dict[str, str]) -> None:
    """Set some parameters to what means something here, and the key's to keys."""
    some = KNOWN | {name: list(filter(None, keys.values())) for name in ("secret", "corpsecret")}
    for name in sorted(set(given_) & set(some)):
        if draw(st.integers(0, 3)):
            given_[name] = draw(st.sampled_from(some[name]))


@given(data=st.data())
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_file_lists(asked: Asked, data: st.DataObject) -> None:
    case = data.draw(cases())
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            made_known(data.draw, part, asked.keys)
    key = data.draw(st.sampled_from([*asked.keys.values(), asked.keys["all"]]))
    case.headers.pop("Authorization", None)
    response = case.call(base_url=asked.web.url, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=30)
    asked.statuses[case.operation.label, response.status_code] += 1

    assert response.status_code != 500
    for secret in ("SECRET", *filter(None, asked.keys.values())):
        assert secret not in response.text
        assert secret not in str(response.headers)
    case.validate_response(response, checks=CHECKS)


def test_every_path_for_programs_is_in_the_file() -> None:
    app = make_app(Held.from_config(Config(), "memory://"))
    ours = [rule.matcher.regex for rule in app.wildcard_router.rules if isinstance(rule.matcher, PathMatches)]
    listed = [path.replace("{account}", "wx1").replace("{name}", "x") for path in SCHEMA.raw_schema["paths"]]

    for path in listed:
        assert any(pattern.match(path) for pattern in ours), path
    assert len([pattern for pattern in ours if pattern.pattern.startswith(("/v1", "/cgi-bin"))]) == len(listed)
