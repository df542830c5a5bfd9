"""What runs inside Celery: tasks, the watchdog, what they are made of."""
