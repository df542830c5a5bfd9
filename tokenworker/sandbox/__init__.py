"""A look-alike of WeChat's and WeCom's API for trying out and for tests: no network, no quota, faults on demand."""

from tokenworker.demo import DEMO_AGENT, DEMO_AGENT_SECRET, DEMO_APPID, DEMO_CORPID, DEMO_SECRET
from tokenworker.sandbox.credentials import Grant, Mint, Verdict
from tokenworker.sandbox.errors import InputError, WeChatError
from tokenworker.sandbox.faults import Fault, FaultBox
from tokenworker.sandbox.holders import Counts
from tokenworker.sandbox.platform import Platform
from tokenworker.sandbox.rules import Rules
from tokenworker.sandbox.sandbox import Sandbox
from tokenworker.sandbox.server import make_app, run, serve

__all__ = [
    "DEMO_AGENT",
    "DEMO_AGENT_SECRET",
    "DEMO_APPID",
    "DEMO_CORPID",
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
