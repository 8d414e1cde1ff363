"""The demo's page for videos: choose or record one, watch it being worked on, see who was there when."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mot_reid.data.motchallenge import read_results
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video_writer import VideoWriter
from mot_reid.serving.demo import answers
from mot_reid.serving.folder import random_id
from mot_reid.serving.jobs.job_store import ENDED, StoredJob
from mot_reid.serving.refusal import Refusal
from mot_reid.serving.service import Service
from mot_reid.settings.tracker_parameters import IN_PLAIN_WORDS, NEED_EMBEDDINGS

_LOOK_SECONDS = 0.3
_drawing = threading.Lock()

View = tuple[str, str, str | None]
"""What the page shows: the HTML of how it goes, that of the result, and the job that can be stopped."""


class VideoPage:
    """What happens when something is pressed.

    Args:
        service: that does the work.
        folder: for copies of uploads and for the sample clip; one that the browser may load files from.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        self._service, self._folder = service, folder

    def presets(self) -> list[tuple[str, str]]:
        """Returns the presets that the models allow, in plain words and by name."""
        reid = self._service.settings.reid
        return [(words, name) for name, words in IN_PLAIN_WORDS.items() if reid or name not in NEED_EMBEDDINGS]

    def sample(self) -> str:
        """Returns the path of the built-in clip, drawn when it is asked for first."""
        path = self._folder / "sample.mp4"
        with _drawing:
            if not path.is_file():
                clip = walkers(width=640, height=360)
                with VideoWriter(path, frame_rate=clip.frame_rate) as writer:
                    for image in clip.images:
                        writer.write(image)
        return str(path)

    def follow(self, upload: Any, preset: str) -> Iterator[View]:
        """Tracks a video, and yields how it goes until it is done.

        Args:
            upload: what Gradio tells of the file; None for none.
            preset: of the tracker.
        """
        try:
            job = self._submit(uploaded(upload, self._folder, "video"), preset)
            while job.state not in ENDED:
                yield answers.progress(job, ready=self._service.readiness().ready), "", job.id
                time.sleep(_LOOK_SECONDS)
                job = self._service.jobs.get(job.id)
            yield self._ended(job)
        except Refusal as refusal:
            yield answers.problem(refusal.sentence), "", None

    def stop(self, id: str | None) -> None:
        """Ends a job; the one who follows it sees that it did."""
        if id is not None:
            try:
                self._service.jobs.cancel(id)
            except Refusal:  # it has ended meanwhile
                return

    def _submit(self, path: Path, preset: str) -> StoredJob:
        """Queues a copy, since the service takes the file away and the browser still shows it."""
        copy = self._folder / random_id()
        try:
            try:
                os.link(path, copy)
            except OSError:
                shutil.copyfile(path, copy)
            return self._service.submit_video(copy, preset=preset, visualize=True, listed=False)
        finally:
            copy.unlink(missing_ok=True)

    def _ended(self, job: StoredJob) -> View:
        if job.state == "cancelled":
            return answers.note("Stopped."), "", None
        if job.state == "failed" or job.result is None:
            return answers.problem(job.error or "job: it failed"), "", None
        days = self._service.limits.stored_days
        done = f"Done. The result is kept for {days:g} days; the upload is deleted within the hour."
        table = read_results(self._service.jobs.mot_path(job.id))
        return answers.note(done), answers.result(job, table, video=bool(job.result["frames"])), None


def uploaded(upload: Any, folder: Path, what: str) -> Path:
    """Returns the file that Gradio received.

    Args:
        upload: what it tells of the file.
        folder: that all uploads are in.
        what: "video" or "image", for the message.

    Raises:
        Refusal: there is none.
    """
    told = upload.get("video", upload) if isinstance(upload, dict) else {}
    path = Path(told.get("path") or "")
    if not told.get("path") or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise Refusal("invalid", f"{what}: got none; choose one first")
    return path


def build_video_page(page: VideoPage, default: str) -> None:
    """Adds the page to the Blocks that are being built.

    Args:
        page: what its buttons do.
        default: the preset that is chosen at first.
    """
    import gradio as gr

    job = gr.State(None)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            video = gr.Video(
                label="Video", sources=["upload", "webcam"], include_audio=True, height=300, elem_id="video-in"
            )
            sample = gr.Button("Take the sample clip", size="sm")
            preset = gr.Radio(page.presets(), value=default, label="How people are followed")
            with gr.Row():
                start = gr.Button("Follow the people", variant="primary")
                stop = gr.Button("Stop", variant="stop", visible=False)
        with gr.Column(scale=3, min_width=300):
            state = gr.HTML(
                answers.note("Choose a video, record one, or take the sample clip."), elem_id="state", padding=False
            )
            result = gr.HTML(elem_id="result", padding=False)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    sample.click(page.sample, outputs=video, **quiet)

    def follow(upload: Any, chosen: str) -> Iterator[Any]:
        for told, found, id in page.follow(upload, chosen):
            busy = id is not None
            yield told, found, id, gr.update(visible=busy), gr.update(interactive=not busy)

    # Gradio would open the upload itself to prepare it; here only workers open what strangers send.
    start.click(follow, [video, preset], [state, result, job, stop, start], preprocess=False, **quiet)
    stop.click(page.stop, job, **quiet)
