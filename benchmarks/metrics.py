"""What a scrape of /metrics costs with many accounts, seconds of processors, and of waiting.

    benchmarks/metrics.py [--accounts 10000]

Ends with 1 when a scrape takes a second or more of both processors together, or a script 2 ms of Redis.
"""

from __future__ import annotations

import argparse
import sys
import time

import redis
from server import running_server

from tokenworker.credential import CredentialId
from tokenworker.settings.config import Config
from tokenworker.store.keys import Keys
from tokenworker.web.held import Held
from tokenworker.web.metrics.scrape import exposition

#: The goals: seconds for a scrape, and milliseconds for which others wait at Redis.
MOST_SECONDS = 1.0
MOST_WAIT = 2.0

SCRAPES = 5

#: What stands in the state and the counts of an account that was fetched for a month.
STATE = {
    "fingerprint": "0" * 16, "fencing": 360, "resolved": 360, "failures": 0, "publish_error": "", "committed": "h:1:a",
    "owner": "h:1:a", "settings_tried": "abcdef01", "settings_accepted": "abcdef01", "publish_digest": "",
    "in_doubt_until": "0.000", "ends_at": "0.000", "born_after": "0.000", "day": 20418, "fetches_today": 13,
    "forced_today": 0, "begun": "h:1:a", "quota": 500_000, "quota_period": "86400.0",
}  # fmt: skip
COUNTS = {
    "fetches:stale:refreshed": 357, "fetches:missing:refreshed": 1, "fetches:stale:failed": 2, "errors:network": 2,
    "probes:alive": 1, "reports": 1, "took:0.1": 300, "took:0.25": 50, "took:0.5": 7, "took:10": 3, "took_sum": 93.5123,
}  # fmt: skip


def fill(client: redis.Redis, accounts: int) -> None:
    keys, now = Keys(), time.time()
    for start in range(0, accounts, 500):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(accounts, start + 500)):
            id_ = CredentialId(f"wx{number:016x}")
            pipeline.set(keys.value(id_), "t" * 136, px=7_200_000)
            moments = {"fetched_at": f"{now:.3f}", "refresh_at": f"{now + 6900:.3f}"}
            pipeline.hset(keys.state(id_), mapping=STATE | moments)
            pipeline.hset(keys.counts(id_), mapping=COUNTS)
            pipeline.zadd(keys.due, {str(id_): now + 6900})
        pipeline.execute()


def measure(held: Held, client: redis.Redis) -> tuple[float, float, float, int]:
    """Return the seconds of a scrape, those of this process's and of the server's processors, and the bytes."""
    began, ours, theirs = time.perf_counter(), time.process_time(), _spent(client)
    text = exposition(held)
    return time.perf_counter() - began, time.process_time() - ours, _spent(client) - theirs, len(text)


def _spent(client: redis.Redis) -> float:
    spent = client.info("cpu")
    return float(spent["used_cpu_user"] + spent["used_cpu_sys"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    accounts = parser.parse_args().accounts
    goals = []
    for series in ("credentials", "totals"):
        with running_server() as server, redis.Redis.from_url(server.url) as client:
            fill(client, accounts)
            config = Config.from_env({"REDIS_URL": server.url, "TOKENWORKER_METRICS": series})
            held = Held.from_config(config, server.url)
            exposition(held)  # the scripts are loaded
            client.config_resetstat()
            rows = [measure(held, client) for _ in range(SCRAPES)]
            wall, ours, theirs, size = min(rows)
            scripts = client.info("commandstats")["cmdstat_evalsha"]
            wait = scripts["usec_per_call"] / 1000
            print(
                f"{accounts} accounts, {series}: {wall:.2f} s, of which web {ours:.2f} s and Redis {theirs:.2f} s of a"
                f" processor; {size / 1e6:.1f} MB; {wait:.2f} ms a script",
                flush=True,
            )
            goals += [ours + theirs < MOST_SECONDS, wait < MOST_WAIT]
            held.store.close()
    sys.exit(not all(goals))


if __name__ == "__main__":
    main()
