"""What our processes log: in which form, and which of Celery's lines."""
