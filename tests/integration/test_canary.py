"""Nothing secret leaves a process: whatever left a stack is searched for 20 secrets, and for what WeChat issued.

In every form in which it may be written, whole or in part. The conformance suite has real error trackers besides.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from support.story import ARGUMENTS, Scene, Story

pytestmark = [pytest.mark.xdist_group("canary"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Have everything happen once."""
    scene = Scene(tmp_path_factory.mktemp("canary"))
    with ExitStack() as exits:
        Story(scene, exits).run()
    return scene


#: What must not be anywhere.
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
#: Where some belong.
ELSE = ("what an error tracker sees", "credentials in Redis", "results of tasks", "messages of tasks")


@pytest.mark.parametrize("where", CLEAN)
def test_nothing_secret_left(scene: Scene, where: str) -> None:
    assert len(scene.left[where]) > 20
    assert scene.canaries.found(scene.left[where]) == {}


def test_whatever_left_was_looked_at(scene: Scene) -> None:
    assert set(scene.left) == {
        *CLEAN,
        "what an error tracker sees",
        "credentials in Redis",
        "results of tasks",
        "messages of tasks",
    }
    assert len(scene.secrets) >= 20
    assert len(scene.issued) > 10


def test_credentials_stand_where_they_belong_and_no_secret_does(scene: Scene) -> None:
    found = scene.canaries.found(scene.left["credentials in Redis"])

    assert len(found) >= 8
    assert not found.keys() & scene.secrets.keys()


def test_results_hold_credentials_and_no_secret(scene: Scene) -> None:
    found = scene.canaries.found(scene.left["results of tasks"])

    assert found
    assert not found.keys() & scene.secrets.keys()


def test_messages_hold_what_their_senders_put_there_and_nothing_else(scene: Scene) -> None:
    found = scene.canaries.found(scene.left["messages of tasks"])

    assert found.keys() == ARGUMENTS


def test_an_error_tracker_sees_no_more_than_celery_does(scene: Scene) -> None:
    found = scene.canaries.found(scene.left["what an error tracker sees"])

    assert {name: around for name, around in found.items() if name not in ARGUMENTS} == {}
    # Not for want of looking.
    for sign in ("putrequest", "pack_commands", "WeChat answered 40125", "Fetcher._fetch attempt"):
        assert sign in scene.left["what an error tracker sees"], sign
