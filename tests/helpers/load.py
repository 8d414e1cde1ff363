"""Many clients at once: whether a job is lost, and how long the server takes to say that it lives.

`python -m tests.helpers.load CLIENTS VIDEO [argument of tools/serve.py ...]` prints it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from mot_reid.data.images import encode_jpeg
from mot_reid.data.video import VideoReader
from tests.helpers.server import Server

_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.5
_LIMITS = ("limits.requests_per_minute=1000000", "limits.free_bytes=0", "limits.uploads=100",
           "limits.client_uploads=100")  # fmt: skip


@dataclass(frozen=True)
class Loaded:
    """What came of the load.

    Attributes:
        states: the number of jobs by the state they ended in.
        files: how many different MOT files there were.
        statuses: the number of answers to images by their status.
        health: seconds since the start, and milliseconds, of each answer of /health.
        seconds: of it all.
    """

    states: Counter[str]
    files: int
    statuses: Counter[int]
    health: np.ndarray[Any, Any]
    seconds: float

    def __str__(self) -> str:
        when, took = self.health.T
        p50, p99 = np.percentile(took, [50, 99])
        return (
            f"jobs {dict(self.states)}, {self.files} different MOT file, images {dict(self.statuses)}, "
            f"{self.seconds:.1f} s; /health {len(self.health)} times: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"max {took.max():.1f} ms (at {when[took.argmax()]:.1f} s), {(took > 50).sum()} above 50 ms"
        )


def load(server: Server, video: Path, *, clients: int) -> Loaded:
    """Has many clients upload a video and an image, wait and download, while another asks for /health.

    Args:
        server: that runs.
        video: that each uploads.
        clients: at the same time.
    """
    with VideoReader(video) as reader:
        image = encode_jpeg(next(iter(reader)).image[..., ::-1])
    context = get_context("spawn")  # a process of its own, so that the clients do not slow its clock
    ours, theirs = context.Pipe()
    asking = context.Process(target=_ask_for_health, args=(server.url, theirs))
    asking.start()
    ours.recv()
    start = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda _: _client(server.url, video.read_bytes(), image), range(clients)))
    seconds = time.monotonic() - start
    ours.send("stop")
    health = np.array(ours.recv())
    asking.join()
    states, files, statuses = zip(*found)
    return Loaded(Counter(states), len(set(files)), sum(statuses, Counter()), health, seconds)


def _client(url: str, video: bytes, image: bytes) -> tuple[str, bytes, Counter[int]]:
    """Returns the last state of a job, its MOT file, and the statuses of the images sent meanwhile."""
    statuses: Counter[int] = Counter()
    with httpx.Client(base_url=url, timeout=300) as client:
        answer = client.post("/api/inference/video", files={"file": video})
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        while (job := client.get(f"/api/jobs/{id}").json())["state"] in ("queued", "running"):
            statuses[client.post("/api/inference/image", files={"file": image}).status_code] += 1
            time.sleep(_LOOK_SECONDS)
        return job["state"], client.get(f"/api/jobs/{id}/mot").content, statuses


def _ask_for_health(url: str, pipe: Connection) -> None:
    told, begin = [], time.perf_counter()
    with httpx.Client(base_url=url, timeout=60) as client:
        client.get("/health")
        pipe.send("ready")
        while not pipe.poll(_PAUSE_SECONDS):
            start = time.perf_counter()
            assert client.get("/health").status_code == 200
            told.append((start - begin, 1000 * (time.perf_counter() - start)))
    pipe.recv()
    pipe.send(told)


def main(clients: int, video: Path, *arguments: str) -> None:
    """Prints what came of the load."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "served", *arguments, *_LIMITS) as server:
        print(load(server, video, clients=clients))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
