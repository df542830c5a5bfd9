"""A task that does nothing, to compare others with."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="benchmark.nothing")
def nothing() -> dict[str, str]:
    return {"appid": "wx0123456789abcdef", "access_token": "t" * 136}
