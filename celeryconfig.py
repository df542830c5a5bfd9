"""Celery's own settings for tokenworker, under Celery's own names: this is the file to edit.

It stands in the directory that worker, beat and Flower are started in. The next line takes over the defaults,
each with its reason; whatever you write below it wins.
"""

from tokenworker.celeryconfig import *

# worker_concurrency = 8
# timezone = "Asia/Shanghai"

# More entries for beat; the tick that keeps the tokens fresh is there already. Every hour, as in the classic recipe:
#
# from tokenworker.schedules import cron, recurrence
#
# beat_schedule = {
#     "every-hour": {
#         "task": "tokenworker.refresh_token",
#         "schedule": cron("0 0 * * * *"),  # or recurrence(minute=0)
#         "kwargs": {"early": True},        # with several accounts, say which: {"appid": "wx…", "early": True}
#     },
# }
