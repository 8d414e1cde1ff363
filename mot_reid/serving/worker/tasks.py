"""What the worker processes do: look into uploads, track videos, and answer for images and live sessions."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from mot_reid import environment
from mot_reid.serving.logs import told_of
from mot_reid.serving.refusal import Refusal, sentence_of
from mot_reid.settings.serving import Limits
from mot_reid.settings.tracking import TrackSettings

Task = Callable[..., Any]
Tell = Callable[[Any], None]
"""Sends the server how far a task is."""

_PROGRESS_SECONDS = 0.25
_CHECKER_BYTES = 4 << 30
_NO_MEMORY = r"(?i)out of memory|insufficient memory|(not|can't|cannot|failed to|unable to) alloc|bad_?alloc"
_PACKAGES = ("mot-reid", "numpy", "opencv-python", "torch", "openvino", "ultralytics")
# The containers of `content.video_format`; no protocol but files, so that no video makes the server open an address.
_FFMPEG = "protocol_whitelist;file|format_whitelist;avi,mov,matroska,mpeg,mpegts,flv,asf"


def serve_models(pipe: Connection, settings: TrackSettings, limits: Limits, nice: int) -> None:
    """The life of a worker with detector and embedder: loads both, then does tasks until the server is gone."""
    begin(nice)
    bound_memory(limits.worker_bytes)
    from mot_reid.serving.worker.models import Models

    def load(tell: Tell) -> tuple[dict[str, Task], dict[str, Any]]:
        models = Models(settings, limits)
        tasks: dict[str, Task] = {
            "track_video": lambda *job: track_video(models, _throttled(tell), *job),
            "track_image": models.track_image,
            "embed": models.embed,
            "embed_people": models.embed_people,
            "open_live": models.open_live,
            "track_live": models.track_live,
            "close_live": models.close_live,
        }
        return tasks, models.facts | {"versions": _versions()}

    answer_all(pipe, load)


def serve_checks(pipe: Connection, limits: Limits, nice: int) -> None:
    """The life of the worker that looks into uploads: it has no models, and little memory to lose."""
    begin(nice)
    bound_memory(_CHECKER_BYTES, all_of_it=True)

    def load(tell: Tell) -> tuple[dict[str, Task], dict[str, Any]]:
        import cv2

        return {"check_video": lambda path: check_video(path, limits)}, {"opencv": cv2.__version__}

    answer_all(pipe, load)


def check_video(path: str, limits: Limits) -> dict[str, Any]:
    """Returns width, height, frame rate and length of a video whose first frame can be decoded.

    Raises:
        Refusal: it cannot, or has too many pixels or frames.
    """
    from mot_reid.data.video import VideoReader, describe_video

    try:
        told = describe_video(path)
        if told.width * told.height > limits.pixels:
            raise Refusal(
                "invalid",
                f"video: got frames of {told.width} x {told.height}; expected at most {limits.pixels:,} pixels",
            )
        if told.length is not None and told.length > limits.frames:
            raise Refusal("invalid", f"video: got {told.length:,} frames; expected at most {limits.frames:,}")
        with VideoReader(path, ahead=1) as reader:
            return {"width": reader.width, "height": reader.height, "frames": reader.length}
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise Refusal("invalid", sentence_of(error, path)) from None


def track_video(
    models: Any, tell: Tell, source: str, preset: str, output: str | None, results: str, looks: str | None = None
) -> dict[str, Any]:
    """Tracks one video as `mot-reid track` does; returns its summary.

    Args:
        models: `Models` of this process.
        tell: sends progress.
        source: the upload.
        preset: of the tracker.
        output: the annotated video; None for none.
        results: the MOT file.
        looks: where the tracklets go, which are joined with those of other videos; None where they are not.

    Raises:
        Refusal: the video cannot be tracked, or has more frames or pixels than the limits allow.
    """
    from mot_reid.pipeline import run
    from mot_reid.pipeline.plan import Job
    from mot_reid.pipeline.steps import Step

    limits = models.limits

    def progress(done: int, length: int | None, step: Step) -> None:
        if done > limits.frames:
            raise Refusal("invalid", f"video: got more than {limits.frames:,} frames; expected fewer; cut it")
        if step.image.shape[0] * step.image.shape[1] > limits.pixels:
            raise Refusal("invalid", f"video: got more than {limits.pixels:,} pixels in frame {step.number}")
        tell([done, length])

    try:
        embedder = models.embedder_for(preset)
        job = Job("upload", source, preset, models.settings.reid if embedder else None, output, results)
        loaded = {"detector": models.detector, "embedder": embedder, "doing": models.doing}
        summary = run.run(models.settings, job, progress=progress, **loaded)
        if looks is not None:
            models.write_looks(source, results, looks)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        if ran_out_of_memory(error):
            raise
        raise Refusal("invalid", sentence_of(error, source)) from None
    if "video_stopped" in summary:  # the reason, which may name the file
        summary["video_stopped"] = sentence_of(OSError(summary["video_stopped"]), source)
    return {name: value for name, value in summary.items() if name != "source"}


def answer_all(pipe: Connection, load: Callable[[Tell], tuple[Mapping[str, Task], dict[str, Any]]]) -> None:
    """Tells the server that the process is ready, or why it is not, and does the tasks that it sends.

    Args:
        pipe: to the server.
        load: returns the tasks by name, and what there is to tell of them; it gets what tells of progress.
    """
    answers = _Answers(pipe)
    try:
        tasks, facts = load(lambda told: answers.send("progress", told))
    except Exception as error:  # of the packages of the models
        answers.send("refused", ["internal", f"server: {sentence_of(error)}"])
        return
    answers.send("done", facts)
    while True:
        try:
            answers.number, name, payload = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            kind, answer = "done", tasks[name](*payload)
        except Refusal as refusal:
            kind, answer = "refused", [refusal.kind, refusal.sentence]
        except Exception as error:  # one bad file must not end the process
            answers.send("failed", told_of(error))
            kind, answer = "refused", ["internal", "server: it failed at this; its log has the reason"]
            if ran_out_of_memory(error):
                answer = ["invalid", "memory: this took more of it than a worker may have; send something smaller"]
        answers.send(kind, answer)


class _Answers:
    """What goes back to the server, each with the number of the request that it belongs to; 0 is the start."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe, self.number = pipe, 0

    def send(self, kind: str, answer: Any) -> None:
        try:
            self._pipe.send_bytes(json.dumps([self.number, kind, answer]).encode())
        except OSError:  # the server is gone
            os._exit(1)


def _throttled(tell: Tell) -> Tell:
    """Returns what sends progress a few times a second, and the first at once."""
    last = -_PROGRESS_SECONDS

    def now_and_then(told: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= _PROGRESS_SECONDS:
            last = time.monotonic()
            tell(told)

    return now_and_then


def begin(nice: int) -> None:
    """Makes a fresh process a worker: polite, deaf to the terminal, and gone when the server is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print, with bytes of the upload in it at times, has no place in the log of the server.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    threading.Thread(target=_end_with_server, name="end-with-server", daemon=True).start()
    os.environ["OPENCV_VIDEOIO_PRIORITY_LIST"] = "FFMPEG"
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = _FFMPEG
    environment.prepare()
    if hasattr(os, "nice"):
        os.nice(nice)
    if hasattr(os, "SCHED_BATCH"):  # the answering process is woken at once and need not wait for a slice to end
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _end_with_server() -> None:
    server = parent_process()
    if server is not None:
        wait([server.sentinel])
        os._exit(1)


def bound_memory(most: int, *, all_of_it: bool = False) -> None:
    """Lets the process have no more memory than this: asking for more fails, and ends neither it nor the machine.

    Args:
        most: bytes.
        all_of_it: count addresses that are reserved as well, of which graphics drivers take far more than they use.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS if all_of_it else resource.RLIMIT_DATA, (most, most))


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory; each library says it in its own way."""
    return isinstance(error, MemoryError) or re.search(_NO_MEMORY, str(error)) is not None


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
