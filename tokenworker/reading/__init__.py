"""How services read credentials: they never fetch, and need no AppSecret, no Celery and no requests.

`reader` waits by blocking its thread; `async_reader` runs it in one. What both are made of: `cache` is what a
process remembers, `questions` what it asks of Redis and what the answers mean, `link` the way there, and `tasks`
has a worker come at once.
"""
