"""The Celery app around our tasks: its settings, what must hold before it takes one, and how it shows that it lives."""
