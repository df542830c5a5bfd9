# The dependencies first, from two files alone: an edit of the code installs none of them again.
FROM python:3.12-slim AS dependencies
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python -m venv /venv \
 && python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt --requirement requirements.txt

FROM dependencies AS package
COPY README.md LICENSE ./
COPY tokenworker ./tokenworker
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --prefix /package .

FROM python:3.12-slim
COPY --from=dependencies /venv /venv
COPY --from=package /package /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
# What a user edits; compose mounts it, so that an edit needs no new image.
COPY celeryconfig.py ./
# What Flower and the sandbox keep; a new volume takes its owner from here.
RUN install --directory --owner=10001 --group=10001 /var/lib/flower /var/lib/sandbox
# A number, so that a secret file can be given this owner.
USER 10001:10001
CMD ["celery", "--app=tokenworker", "worker", "--loglevel=INFO", "--hostname=tokenworker@%h"]
