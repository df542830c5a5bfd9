FROM python:3.12-slim

WORKDIR /app

# The dependencies first: they change less often than the code.
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY tokenworker ./tokenworker
RUN pip install --no-cache-dir --constraint constraints.txt .

# What a user edits; worker, beat and Flower read it from here.
COPY celeryconfig.py ./

RUN useradd --system --no-create-home tokenworker
USER tokenworker

CMD ["celery", "--app=tokenworker", "worker", "--loglevel=INFO"]
