"""What Celery shows of our tasks and workers to whoever looks: outcomes, and never a credential or a login."""
