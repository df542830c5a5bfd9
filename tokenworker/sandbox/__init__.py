"""A look-alike of api.weixin.qq.com for trying out and for tests: no network, no quota, faults on demand."""

from tokenworker.demo import DEMO_APPID, DEMO_SECRET
from tokenworker.sandbox.accounts import Counts
from tokenworker.sandbox.errors import InputError, WeChatError
from tokenworker.sandbox.faults import Fault, FaultBox
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.sandbox import Sandbox
from tokenworker.sandbox.server import make_app, run, serve
from tokenworker.sandbox.tokens import Grant, Mint, Verdict

__all__ = [
    "DEMO_APPID",
    "DEMO_SECRET",
    "Counts",
    "Fault",
    "FaultBox",
    "Grant",
    "InputError",
    "Mint",
    "Platform",
    "Rules",
    "Sandbox",
    "Verdict",
    "WeChatError",
    "make_app",
    "run",
    "serve",
]
