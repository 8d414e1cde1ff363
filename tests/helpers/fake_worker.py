"""What a worker process may be made to do by a bad file."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from typing import Any

from mot_reid.serving.refusal import Refusal
from mot_reid.serving.worker.tasks import Tell, answer_all, begin, bound_memory


def serve(pipe: Connection, problem: str | None = None, most_bytes: int | None = None) -> None:
    """A worker without models; with a problem, one that cannot load them; with bytes, one that may have no more."""
    begin(0)
    if most_bytes is not None:
        bound_memory(most_bytes)

    def load(tell: Tell) -> Any:
        if problem is not None:
            raise ValueError(problem)

        def count(most: int) -> int:
            for number in range(most):
                tell(number)
            return most

        def track_video(source: str, preset: str, output: str | None, results: str) -> dict[str, Any]:
            for number in range(1, 6):
                tell([number, 5])
                time.sleep(0.05)
            return {"frames": 5, "source": source}

        def garble(what: str) -> None:
            pipe.send_bytes(what.encode())

        tasks = {"echo": echo, "die": die, "sleep": time.sleep, "refuse": refuse, "fail": fail, "take": take}
        return tasks | {"count": count, "garble": garble, "track_video": track_video}, {"n": 1}

    answer_all(pipe, load)


def echo(*values: Any) -> list[Any]:
    return list(values)


def die() -> None:
    os.abort()


def take(count: int) -> int:
    """Takes and touches that many bytes."""
    return len(bytearray(count))


def refuse() -> None:
    raise Refusal("unsupported", "file: no")


def fail() -> None:
    raise KeyError("/home/somebody/secret")
