"""What a worker process may be made to do by a bad file."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import Any

from mot_reid.serving.refusal import Refusal
from mot_reid.serving.worker.tasks import answer_all, begin


def serve(pipe: Connection, problem: str | None = None) -> None:
    """A worker without models; with a problem, one that cannot load them."""
    begin(0)
    pipe_of_progress = pipe

    def load() -> Any:
        if problem is not None:
            raise ValueError(problem)
        return {"echo": echo, "die": die, "sleep": time.sleep, "refuse": refuse, "fail": fail, "count": count}, {"n": 1}

    def count(most: int) -> int:
        for number in range(most):
            pipe_of_progress.send_bytes(f'["progress", {number}]'.encode())
        return most

    answer_all(pipe, load)


def echo(*values: Any) -> list[Any]:
    return list(values)


def die() -> None:
    os.abort()


def refuse() -> None:
    raise Refusal("unsupported", "file: no")


def fail() -> None:
    raise KeyError("/home/somebody/secret")
