"""The accounts that the sandbox knows from the start; they exist nowhere else."""

DEMO_APPID = "wx0123456789abcdef"
DEMO_SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105  a made-up one

DEMO_CORPID = "ww0123456789abcdef"
DEMO_AGENT = 1000002
DEMO_AGENT_SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"  # noqa: S105  a made-up one

#: The ids of all such accounts.
DEMO_ACCOUNTS = frozenset({DEMO_APPID, f"{DEMO_CORPID}/{DEMO_AGENT}"})
