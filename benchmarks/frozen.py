"""What readers see while Redis freezes for 3 s and thaws for 2 s, over and over.

Eight threads read as fast as a service does, and a new token comes with each thaw. Ends with 1 when a read
takes longer than 0.6 s at p99, finds nothing, or finds a token that is not one of the last two.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections import deque
from statistics import median, quantiles

import redis
from server import Server, running_server

from tokenworker import TokenReader, TokenUnavailable

APPID = "wx0123456789abcdef"
KEY = f"tokenworker:{{{APPID}}}:access_token"
THREADS = 8
FROZEN, THAWED = 3.0, 2.0
LONGEST = 0.6


class Trial:
    def __init__(self, url: str, seconds: float) -> None:
        self.end = time.monotonic() + seconds
        self.url = url
        self.good: deque[str] = deque(maxlen=2)
        self.times: list[float] = []
        self.bad = 0

    def renew(self) -> None:
        token = f"token-{len(self.times)}-{time.monotonic_ns()}"
        self.good.append(token)
        with redis.Redis.from_url(self.url) as client:
            client.set(KEY, token, px=7_200_000)

    def read(self, reader: TokenReader) -> None:
        while time.monotonic() < self.end:
            began = time.monotonic()
            try:
                works = reader.get_token(APPID).access_token in self.good
            except TokenUnavailable:
                works = False
            self.times.append(time.monotonic() - began)
            self.bad += not works
            time.sleep(0.002)

    def disturb(self, server: Server) -> None:
        while time.monotonic() < self.end:
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(FROZEN)
            server.process.send_signal(signal.SIGCONT)
            self.renew()
            time.sleep(THAWED)


def run(seconds: float) -> Trial:
    with running_server() as server, TokenReader(server.url) as reader:
        trial = Trial(server.url, seconds)
        trial.renew()
        reader.get_token(APPID)
        threads = [threading.Thread(target=trial.read, args=(reader,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        trial.disturb(server)
        for thread in threads:
            thread.join()
    return trial


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="(default 30)")
    trial = run(parser.parse_args().seconds)
    p99 = quantiles(trial.times, n=100)[98]
    print(f"{len(trial.times)} reads, {trial.bad} without a token that works")
    print(f"p50 {median(trial.times) * 1e6:.1f} us, p99 {p99 * 1e6:.1f} us, longest {max(trial.times):.3f} s")
    passed = trial.bad == 0 and p99 < LONGEST
    print("pass" if passed else "FAIL", f"every read finds a token that works, at p99 within {LONGEST} s")
    sys.exit(0 if passed else 1)
