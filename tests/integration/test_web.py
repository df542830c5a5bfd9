"""What all faces of `tokenworker web` have in common."""

from __future__ import annotations

from support.processes import RedisServer
from support.web import Web


def test_it_says_that_it_lives(server: RedisServer) -> None:
    with Web(server.url) as web:
        answer = web.ask("/healthz")

    assert answer.status == 200


def test_a_path_that_nobody_knows_is_a_problem_with_a_sentence(server: RedisServer) -> None:
    with Web(server.url) as web:
        answer = web.ask("/v2/tokens", method="DELETE")

    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["detail"] == "there is nothing at this path: /v1/openapi.json lists all paths"
