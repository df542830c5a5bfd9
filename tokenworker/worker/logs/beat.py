"""Beat for logs that machines read."""

from __future__ import annotations

from typing import Any

from celery.apps.beat import Beat


class QuietBeat(Beat):
    """Beat that prints no picture of itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"quiet": True})
