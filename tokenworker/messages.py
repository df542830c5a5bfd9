"""The names on the wire between Celery apps: our queue and our tasks, which other services rely on."""

from __future__ import annotations

QUEUE = "tokenworker"

GET_TOKEN = "tokenworker.get_token"  # noqa: S105  a task's name
REFRESH_TOKEN = "tokenworker.refresh_token"  # noqa: S105
GET_CREDENTIAL = "tokenworker.get_credential"
#: The tick: what beat sends every few seconds.
REFRESH_DUE_TOKENS = "tokenworker.refresh_due_tokens"
STATUS = "tokenworker.status"

TASKS = (GET_TOKEN, REFRESH_TOKEN, REFRESH_DUE_TOKENS, STATUS)
