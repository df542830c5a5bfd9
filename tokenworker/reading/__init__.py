"""What `TokenReader` and `AsyncTokenReader` have in common: all but the waiting.

`reader` says, as a generator of steps, what to ask and what to make of the answers; who carries the steps out
may block or not. `copies` and `turns` are what a process remembers, `answers` what Redis says, `steps` what
there is to do, `connections` and `tasks` the two ways out: Redis, and the task of a Celery app.
"""
