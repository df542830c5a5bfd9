"""The account that the sandbox knows from the start; it exists nowhere else."""

DEMO_APPID = "wx0123456789abcdef"
DEMO_SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105  a made-up one

#: The ids of all such accounts.
DEMO_ACCOUNTS = frozenset({DEMO_APPID})
