"""What a worker tells of its broker to `celery inspect stats` and to Flower's page of it: not how it logs in there."""

from __future__ import annotations

from typing import Any

from celery.app.utils import filter_hidden_settings
from celery.worker.control import Panel
from kombu.utils.url import maybe_sanitize_url


def hide_logins() -> None:
    """Have this worker tell of its broker without the passwords for Sentinels and for further servers."""
    whole = Panel.data["stats"]

    def stats(state: Any, **kwargs: Any) -> Any:
        told = whole(state, **kwargs)
        return told | {"broker": _shown(told.get("broker") or {})}

    Panel.data["stats"] = stats


def _shown(broker: dict[str, Any]) -> dict[str, Any]:
    others = [maybe_sanitize_url(url) for url in broker.get("alternates") or ()]
    shown: dict[str, Any] = filter_hidden_settings(broker)
    return shown | ({"alternates": others} if "alternates" in broker else {})
