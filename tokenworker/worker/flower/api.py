"""Flower's API, which hands out results whole where its pages show a line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tokenworker.worker.monitoring.masking import mask


def hide_credentials() -> None:
    """Have it show results without credentials: who may look at Flower is not who may have them."""
    handler: Any = import_module("flower.api.tasks").BaseTaskHandler  # Flower's process alone has it
    whole = handler.safe_result

    def safe_result(self: Any, result: Any) -> Any:
        return mask(whole(self, result))

    handler.safe_result = safe_result
