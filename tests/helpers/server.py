"""A real server in a process of its own, and the synthetic clip as a video with a file of its detections."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from mot_reid.cli import track
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video_writer import VideoWriter
from mot_reid.settings.load import ROOT

START_SECONDS = 600.0

PATIENT = ("nice=0", "limits.check_seconds=600", "limits.free_bytes=0")
"""Arguments for tests that are run beside other work, on a disk that others fill."""


class Server:
    """`tools/serve.py` on a free port.

    Args:
        folder: of the service.
        arguments: as on the command line.
        ready: wait until the models are loaded.
        name: of its log, where several work in the folder; None is that of the folder.
    """

    def __init__(self, folder: Path, *arguments: str, ready: bool = True, name: str | None = None) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{name or folder.name}.log")
        command = [sys.executable, "tools/serve.py", "port=0", f"folder={folder}", "device=cpu", *arguments]
        self.said = self.log.with_suffix(".out")
        with self.log.open("a") as log, self.said.open("w") as said:
            start = log.tell()
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=said, start_new_session=True)
        try:
            self.url = f"http://127.0.0.1:{self._port(start)}"
            self.client = httpx.Client(base_url=self.url, timeout=120)
            if ready:
                self.wait_ready()
        except BaseException:
            self.process.kill()  # nobody else knows of it yet
            raise

    def _port(self, start: int) -> int:
        for _ in _attempts():
            for line in self.log.read_text()[start:].splitlines():
                if '"listening"' in line:
                    return int(json.loads(line)["port"])
            assert self.process.poll() is None, self.log.read_text()[start:]
        raise AssertionError(self.log.read_text())

    def wait_ready(self) -> None:
        """Returns when the models are loaded."""
        answer = None
        for _ in _attempts():
            with contextlib.suppress(httpx.ConnectError):
                answer = self.client.get("/ready")
                if answer.status_code == 200:
                    return
        raise AssertionError(answer and answer.text)

    def upload(self, video: Path, **fields: str) -> dict[str, Any]:
        """Returns the job of an upload."""
        with video.open("rb") as file:
            answer = self.client.post("/api/inference/video", files={"file": file}, data=fields)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def ended(self, id: str, *, seconds: float = 120) -> dict[str, Any]:
        """Returns a job when it has ended and its upload, which goes just after the state is written, is gone."""
        for _ in _attempts(seconds):
            job: dict[str, Any] = self.client.get(f"/api/jobs/{id}").json()
            ended = job["state"] in ("done", "failed", "cancelled")
            if ended and not (self.folder / "jobs" / id / "upload").exists():
                return job
        raise AssertionError(job)

    def running(self, id: str, *, frames: int = 1) -> dict[str, Any]:
        """Returns a job when some of its frames are done."""
        for _ in _attempts():
            job: dict[str, Any] = self.client.get(f"/api/jobs/{id}").json()
            assert job["state"] in ("queued", "running"), job
            if job["progress"]["frames_done"] >= frames:
                return job
        raise AssertionError(job)

    def logged(self, name: str, value: object) -> bool:
        """Returns whether the log comes to tell this; it is written by a thread, a little after the answer."""
        for _ in _attempts(10):
            lines = self.log.read_text().splitlines(keepends=True)
            if any(json.loads(line).get(name) == value for line in lines if line.endswith("\n")):
                return True
        return False

    def workers(self) -> dict[str, int]:
        """Returns the process of each worker by its name, as the log tells."""
        for _ in _attempts():
            lines = [line for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
            told = [json.loads(line) for line in lines if '"worker ready"' in line]
            if {line["worker"] for line in told} >= {"checks", "calls-1", "jobs-1"}:
                break
        return {line["worker"]: line["pid"] for line in told}

    def family(self) -> list[psutil.Process]:
        """Returns the processes that the server has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def files(self) -> set[str]:
        """Returns the paths of all files and folders in its folder but the database's."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))
        return {path for path in found if not path.startswith("jobs.sqlite")}

    def stop(self) -> None:
        """Ends it as an operator does."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def kill(self) -> None:
        """Ends it as the kernel does."""
        self.client.close()
        self.process.kill()
        self.process.wait(60)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@dataclass(frozen=True)
class Scene:
    """A drawn video and the detections that belong to it.

    Attributes:
        video: its file.
        arguments: of tools/track.py and tools/serve.py, which make them use the detections.
    """

    video: Path
    arguments: tuple[str, ...]


def draw_scene(folder: Path, *, frames: int = 60, repeat: int = 1) -> Scene:
    """Returns a scene written to a folder.

    Args:
        folder: where to.
        frames: of the synthetic clip.
        repeat: how often the clip is shown.
    """
    clip = walkers(frames=frames)
    video, boxes = folder / "walkers.avi", folder / "det.txt"
    rows = []
    with VideoWriter(video, frame_rate=clip.frame_rate) as writer:
        for turn in range(repeat):
            for number, (image, found) in enumerate(zip(clip.images, clip.detections), turn * frames + 1):
                writer.write(image)
                for (x1, y1, x2, y2), score in zip(found.xyxy, found.score):
                    rows.append(f"{number},-1,{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f}")
    boxes.write_text("\n".join(rows) + "\n")
    return Scene(video, (f"detector.public={boxes}",))


def mot_of_tool(scene: Scene, folder: Path, *arguments: str) -> bytes:
    """Returns the MOT file that `mot-reid track` writes."""
    results = folder / "tool.txt"
    assert track.main([f"source={scene.video}", f"results={results}", "device=cpu", *scene.arguments, *arguments]) == 0
    return results.read_bytes()


def _attempts(seconds: float = START_SECONDS) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)
