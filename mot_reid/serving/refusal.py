"""`Refusal`: why the service does not do what it was asked, in a sentence for the one who asked."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Literal

Kind = Literal[
    "bad_request", "unauthorized", "forbidden", "not_found", "method_not_allowed", "timeout", "conflict", "too_large",
    "unsupported", "invalid", "too_many_requests", "internal", "busy", "disk_full",
]  # fmt: skip

STATUS: dict[Kind, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "too_large": 413,
    "unsupported": 415,
    "invalid": 422,
    "too_many_requests": 429,
    "internal": 500,
    "busy": 503,
    "disk_full": 507,
}
"""The HTTP status of each kind."""

# Two parts at least, so that a plain slash, as in frames/s or image/png, stays.
_PATH = re.compile(r"(?<![\w/:.])(?:/[^\s/'\",;:()]+){2,}/?")
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Refusal(Exception):
    """A request that is not served.

    Args:
        kind: what was wrong, for programs.
        sentence: what was wrong, for people; without paths of this machine.
        retry_seconds: when to ask again, where that may help.
    """

    def __init__(self, kind: Kind, sentence: str, *, retry_seconds: int | None = None) -> None:
        super().__init__(sentence)
        self.kind: Kind = kind
        self.sentence = sentence
        self.retry_seconds = retry_seconds


def sentence_of(error: BaseException, upload: str | Path | None = None) -> str:
    """Returns what an error says, in one line without paths of this machine.

    Args:
        error: what was raised.
        upload: the path of the file that was worked on, which becomes "the upload".
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if upload is not None:
        text = text.replace(str(upload), "the upload")
    return _PATH.sub("a file", text)


def stopping() -> Refusal:
    """Returns the refusal of what comes too late."""
    return Refusal("busy", "server: it is being stopped; try again soon", retry_seconds=10)


def disk_refusal(error: OSError) -> Refusal:
    """Returns the refusal for a file that could not be written."""
    if error.errno in _FULL:
        return Refusal("disk_full", "storage: the disk of the server is full; delete jobs, or try again later")
    return Refusal("internal", "storage: the server could not write the file; its log has the reason")
