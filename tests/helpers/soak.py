"""Many frames through one live session and many jobs after each other, and the memory of the server meanwhile.

`python -m tests.helpers.soak FRAMES JOBS PRESET [argument of tools/serve.py ...]` prints it; without a detector named,
the detections are those of the drawn scene, over and over.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from PIL import Image
from websockets.sync.client import connect

from mot_reid.data.synthetic_clip import walkers
from tests.helpers.server import Server, draw_scene

_LIMITS = (
    "limits.live_frames_per_second=100000",
    "limits.requests_per_minute=100000",
    "limits.live_seconds=100000",
)
_CLIP = 100
_AHEAD = 8


@dataclass(frozen=True)
class Sample:
    """The server after some frames.

    Attributes:
        frames: so far.
        seconds: so far.
        tracks: the largest identity so far.
        megabytes: resident memory by process: the server, and its workers by name.
    """

    frames: int
    seconds: float
    tracks: int
    megabytes: dict[str, float]


def detections(folder: Path, frames: int) -> str:
    """Writes the detections of the drawn scene, shown until there are enough; returns the argument that names them."""
    clip, path = walkers(frames=_CLIP), folder / "det.txt"
    rows = [
        [f",-1,{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f}\n" for (x1, y1, x2, y2), score in found]
        for found in (zip(frame.xyxy, frame.score) for frame in clip.detections)
    ]
    with path.open("w") as file:
        for number in range(frames):
            file.writelines(f"{number + 1}{row}" for row in rows[number % _CLIP])
    return f"detector.public={path}"


def soak(server: Server, frames: int, *, every: int, preset: str = "bytetrack") -> Iterator[Sample]:
    """Sends frames through one session and yields a sample now and then.

    Args:
        server: that runs.
        frames: how many.
        every: after how many there is a sample.
        preset: of the tracker.
    """
    clip, encoded = walkers(frames=_CLIP), []
    for image in clip.images:
        buffer = io.BytesIO()
        Image.fromarray(image[..., ::-1]).save(buffer, "JPEG")
        encoded.append(buffer.getvalue())
    address = f"{server.url.replace('http', 'ws')}/api/live?frame_rate=12.5&preset={preset}"
    start, most, sent = time.monotonic(), 0, 0
    with connect(address, compression=None) as socket:
        for number in range(1, frames + 1):
            while sent < min(number + _AHEAD, frames):
                sent += 1
                socket.send(encoded[sent % _CLIP])
            answer = json.loads(socket.recv(timeout=60))
            assert answer.get("frame") == number, answer
            most = max([most, *(row["track_id"] for row in answer["tracks"])])
            if number % every == 0:
                yield Sample(number, time.monotonic() - start, most, memory(server))


def soak_jobs(server: Server, video: Path, jobs: int, *, every: int) -> Iterator[tuple[int, float, dict[str, float]]]:
    """Has one job after the other done, and yields now and then how many, the seconds and the memory.

    Args:
        server: that runs.
        video: of each job.
        jobs: how many.
        every: after how many there is a sample.
    """
    start = time.monotonic()
    for number in range(1, jobs + 1):
        job = server.ended(server.upload(video)["id"])
        assert job["state"] == "done", job
        assert server.client.delete(f"/api/jobs/{job['id']}").status_code == 204
        if number % every == 0:
            yield number, time.monotonic() - start, memory(server)


def memory(server: Server) -> dict[str, float]:
    """Returns the resident megabytes of the server and of each of its workers."""
    processes = {"server": server.process.pid} | server.workers()
    return {name: psutil.Process(pid).memory_info().rss / 1e6 for name, pid in processes.items()}


def main(frames: int, jobs: int, preset: str, *arguments: str) -> None:
    """Prints the memory of a server on the way."""
    with tempfile.TemporaryDirectory() as folder:
        given = arguments if any(text.startswith("detector.") for text in arguments) else None
        detector = given or (detections(Path(folder), frames), *arguments)
        with Server(Path(folder) / "served", *detector, *_LIMITS) as server:
            for sample in soak(server, frames, every=max(frames // 20, 1), preset=preset):
                print(
                    f"{sample.frames:>7} frames {sample.frames / sample.seconds:6.1f}/s, {sample.tracks} tracks; "
                    f"MB: {_told(sample.megabytes)}",
                    flush=True,
                )
            video = draw_scene(Path(folder), frames=20).video
            for done, seconds, megabytes in soak_jobs(server, video, jobs, every=max(jobs // 20, 1)):
                print(f"{done:>7} jobs {done / seconds:6.2f}/s; MB: {_told(megabytes)}", flush=True)


def _told(megabytes: dict[str, float]) -> str:
    return ", ".join(f"{name} {size:.1f}" for name, size in megabytes.items())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
