"""Auth objects that put an account's token into calls to WeChat, and replace it when WeChat refuses it.

`tokenworker.auth.WeChatAuth` is for requests, `tokenworker.auth.httpx.WeChatAuth` for httpx.
"""

# Type checkers know this name wherever it is defined.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from tokenworker.auth.requests import WeChatAuth

__all__ = ["WeChatAuth"]


def __getattr__(name: str) -> object:
    if name != "WeChatAuth":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Imported only when it is needed: with httpx, nobody needs requests.
    from tokenworker.auth.requests import WeChatAuth  # noqa: PLC0415

    return WeChatAuth
