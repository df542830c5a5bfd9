"""What `TokenReader` and `AsyncTokenReader` have in common: all but the waiting.

`reader` says, as a generator of steps, what to do; whoever carries the steps out may block or not. `copies` and
`turns` are what a process remembers, `dialogue` and `answers` what it says to Redis and hears, `steps` what there
is to do, and `connections` and `tasks` do it: by way of Redis, and of a Celery app.
"""
