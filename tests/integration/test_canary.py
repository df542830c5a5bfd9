"""Nothing secret leaves a process: whatever left a stack is searched for 20 secrets, and for what WeChat issued.

In every form in which it may be written, whole or in part. The conformance suite has real error trackers besides.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from support.story import ARGUMENTS, Scene, Story

#: What must not hold any.
CLEAN = (
    "logs",
    "errors of tasks",
    "answers of tasks",
    "answers of workers",
    "events, and all else at the queue",
    "all else in Redis",
    "web's pages",
    "web's refusals",
    "web's reports",
    "Flower's pages",
    "Flower's kept state",
    "commands",
)
#: What some belong to.
ELSE = ("what an error tracker sees", "credentials in Redis", "results of tasks", "messages of tasks")
#: What shows that a tracker was told of what it is told of.
SIGNS = ("putrequest", "pack_commands", "WeChat answered 40125", "Fetcher._fetch attempt")


@pytest.mark.timeout(180)
def test_secrets_are_nowhere_and_credentials_where_they_belong(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with ExitStack() as exits:
        Story(scene, exits).run()

    assert len(scene.secrets) >= 20
    assert len(scene.issued) > 10
    assert set(scene.left) == {*CLEAN, *ELSE}
    nothing_is_found(scene)
    credentials_are_where_they_belong(scene)
    messages_hold_what_their_senders_put_there(scene)
    a_tracker_sees_no_more_than_celery_does(scene)


def nothing_is_found(scene: Scene) -> None:
    assert min(len(scene.left[where]) for where in CLEAN) > 20
    found = {where: scene.canaries.found(scene.left[where]) for where in CLEAN}

    assert {where: it for where, it in found.items() if it} == {}


def credentials_are_where_they_belong(scene: Scene) -> None:
    for where in ("credentials in Redis", "results of tasks"):
        found = scene.canaries.found(scene.left[where])
        assert found
        assert not found.keys() & scene.secrets.keys(), where


def messages_hold_what_their_senders_put_there(scene: Scene) -> None:
    assert scene.canaries.found(scene.left["messages of tasks"]).keys() == ARGUMENTS


def a_tracker_sees_no_more_than_celery_does(scene: Scene) -> None:
    seen = scene.left["what an error tracker sees"]
    found = scene.canaries.found(seen)

    assert {name: around for name, around in found.items() if name not in ARGUMENTS} == {}
    # Not for want of looking.
    assert [sign for sign in SIGNS if sign not in seen] == []
