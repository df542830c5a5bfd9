"""A look-alike of api.weixin.qq.com for trying out and for tests: no network, no quota, faults on demand."""

from .accounts import DEMO_APPID, DEMO_SECRET, Counts
from .errors import InputError, WeChatError
from .faults import Fault, FaultBox
from .platform import Platform
from .rules import Rules
from .sandbox import Sandbox
from .server import make_app, run, serve
from .tokens import Grant, Mint, Verdict

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
