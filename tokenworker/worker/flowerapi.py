"""Flower's API, which hands out results whole where its pages show a line."""

from __future__ import annotations

from typing import Any

from tokenworker.worker.masking import mask


def hide_credentials() -> None:
    """Have it show results without credentials: who may look at Flower is not who may have them."""
    from flower.api.tasks import BaseTaskHandler  # noqa: PLC0415  Flower's process alone has it

    whole = BaseTaskHandler.safe_result

    def safe_result(self: Any, result: Any) -> Any:
        return mask(whole(self, result))

    BaseTaskHandler.safe_result = safe_result
