"""Celery's own settings, under Celery's own names: the defaults of this app.

Broker, result backend and the tick's period come from the environment. A `celeryconfig.py` in the working
directory overrides any of this; its `beat_schedule` is added to the tick.
"""

from tokenworker import messages as _messages

# Its own queue: on a shared one, workers that don't know our tasks would take half of them and throw them away.
task_default_queue = _messages.QUEUE

# JSON only: a pickle in the queue is code that somebody else runs in our name.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]

# A result holds a credential: it is gone after a minute.
result_expires = 60
result_backend_transport_options = {
    "retry_policy": {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1},
}

# Threads, for the work is waiting: a slow fetch of one account does not hold up the others, and all share one
# connection to WeChat. One message each: none waits behind a slow one.
worker_pool = "threads"
worker_concurrency = 8
worker_prefetch_multiplier = 1

# What Flower shows. Sent-events are off: they would add a series of metrics for each client process.
worker_send_task_events = True
task_send_sent_event = False

# Without these, a connection that dies without a sign holds a worker or beat for ever; with them, for 20 s.
broker_transport_options = {
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 5,
    "visibility_timeout": 600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
}
redis_socket_timeout = 5
redis_socket_connect_timeout = 3
redis_socket_keepalive = True
redis_backend_health_check_interval = 5
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
worker_cancel_long_running_tasks_on_connection_loss = True

# No schedule file: one that was written while the clock was ahead keeps beat silent after a restart. There is
# nothing to remember: what is due stands in Redis.
beat_scheduler = "tokenworker.worker.app.heartbeat:Scheduler"
beat_max_loop_interval = 5
# `celery inspect ping` reaches beat too (Celery 5.7), and gets no answer when it has stopped ticking.
beat_enable_remote_control = True
