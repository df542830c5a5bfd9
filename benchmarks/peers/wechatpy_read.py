"""Reads a token as an application on wechatpy does: so many times as each line says; writes the nanoseconds."""

import json
import sys
import time

import redis
from wechatpy import WeChatClient  # type: ignore[import-not-found]  # in the environment that it runs in
from wechatpy.session.redisstorage import RedisStorage  # type: ignore[import-not-found]

redis_url, appid, token = sys.argv[1:]
client = WeChatClient(appid, "", session=RedisStorage(redis.Redis.from_url(redis_url)))
client.session.set(client.access_token_key, token, 7000)
client.expires_at = int(time.time()) + 7000
if client.access_token != token:
    sys.exit("another token")

for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        began = time.perf_counter_ns()
        _ = client.access_token
        times.append(time.perf_counter_ns() - began)
    print(json.dumps(times), flush=True)
