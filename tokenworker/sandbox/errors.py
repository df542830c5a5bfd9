"""What goes wrong in the sandbox.

WeChatError                  an errcode that goes to the caller with HTTP status 200
InputError                   the sandbox was given something that it cannot use
└── UnknownAccountError      nobody of that name is at this sandbox
StateFileUnusable            what is to outlive the sandbox can't be kept in that file
"""


class WeChatError(Exception):
    """WeChat refused a call; `errcode` says why, `errmsg` is text for people."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errcode, errmsg)
        self.errcode = errcode
        self.errmsg = errmsg

    def __str__(self) -> str:
        return f"{self.errcode} {self.errmsg}"


class InputError(ValueError):
    """The sandbox was given something that it cannot use; the text says what to give instead."""


class UnknownAccountError(InputError):
    """Nobody of that name is at this sandbox."""

    def __init__(self, appid: str) -> None:
        super().__init__(appid)
        self.appid = appid

    def __str__(self) -> str:
        return (
            f"{self.appid!r} is no account of this sandbox; "
            "add it with POST /sandbox/accounts or, for WeCom, /sandbox/applications."
        )


class StateFileUnusable(Exception):  # noqa: N818  it states a fact
    """The file can't be read or written, or another sandbox has it; the text says what to do."""
