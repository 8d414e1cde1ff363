"""One job: what it is told of, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mot_reid.data.motchallenge import read_results
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.run import build_detector, run
from mot_reid.pipeline.steps import Step
from mot_reid.settings.load import ConfigError, load_settings
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import Detections
from tests.detection.test_onnx import network

SETTINGS = load_settings(TrackSettings, ["max_frames=8"], base="track")


def test_progress_is_told_of_every_frame() -> None:
    told: list[tuple[int, int | None, int]] = []
    run(
        SETTINGS,
        Job("clip", "synthetic", "sort"),
        progress=lambda done, all_, step: told.append((done, all_, step.number)),
    )
    assert told == [(number, 8, number) for number in range(1, 9)]


def test_progress_that_raises_ends_the_job_and_leaves_nothing(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, length: int | None, step: Step) -> None:
        if done == 3:
            raise Stopped

    job = Job("clip", "synthetic", "sort", output=str(tmp_path / "a.mp4"), results=str(tmp_path / "a.txt"))
    with pytest.raises(Stopped):
        run(SETTINGS, job, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_given_are_used(tmp_path: Path) -> None:
    """The detector sees two people standing still; the embedder says that they look different, and is asked."""
    asked: list[int] = []

    class Looks:
        threshold = 0.5

        def __call__(self, image: Any, xyxy: Any) -> Any:
            asked.append(len(xyxy))
            return np.eye(2, dtype=np.float32)[(np.asarray(xyxy)[:, 0] > 100).astype(int)]

        def many(self, images: Any, xyxy: Any) -> Any:
            return [self(image, boxes) for image, boxes in zip(images, xyxy)]

    boxes = Detections(np.array([[20, 20, 60, 120], [200, 20, 240, 120]], float), np.array([0.9, 0.8]))
    job = Job("clip", "synthetic", "bytetrack_reid", results=str(tmp_path / "a.txt"))
    summary = run(SETTINGS, job, detector=lambda image: boxes, embedder=Looks())
    assert summary["tracks"] == 2 and sum(asked) >= 2 and "embed" in summary["stages"]
    table = read_results(tmp_path / "a.txt")
    assert np.unique(table.xyxy.round(6), axis=0).tolist() == [[20, 20, 60, 120], [200, 20, 240, 120]]


def test_every_box_is_embedded_in_batches_of_frames_where_appearance_is_always_wanted() -> None:
    sizes: list[int] = []

    class Looks:
        threshold = 0.5

        def __call__(self, image: Any, xyxy: Any) -> Any:
            raise AssertionError

        def many(self, images: Any, xyxy: Any) -> Any:
            sizes.append(len(images))
            return [np.eye(2, dtype=np.float32)[: len(boxes)] for boxes in xyxy]

    settings = load_settings(
        TrackSettings, ["max_frames=8", "tracker.appearance=always", "detector.batch=3"], base="track"
    )
    boxes = Detections(np.array([[20, 20, 60, 120], [200, 20, 240, 120]], float), np.array([0.9, 0.8]))
    job = Job("clip", "synthetic", "bytetrack_reid")
    summary = run(settings, job, detector=lambda image: boxes, embedder=Looks())
    assert sizes == [3, 3, 2] and summary["tracks"] == 2
    assert {"detect", "embed", "associate"} <= set(summary["stages"])


def test_results_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    taken = tmp_path / "a.txt"
    taken.mkdir()
    with pytest.raises(OSError, match=r"^results: got '.*a\.txt' \(.*\); expected a file that can be written$"):
        run(SETTINGS, Job("clip", "synthetic", "sort", results=str(taken)))


def test_onnx_file_is_tracked_by_its_name(tmp_path: Path) -> None:
    """A network that sees one person of the whole picture in every frame, whatever it is shown."""
    path = network(tmp_path / "a.onnx", {"output0": np.array([[[2, 2, 60, 60, 0.9, 0]]], np.float32)})
    settings = load_settings(TrackSettings, ["max_frames=8", f"detector.weights={path}"], base="track")
    assert run(settings, Job("clip", "synthetic", "bytetrack"))["tracks"] == 1


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            ["detector.kind=yolox"],
            r"detector\.kind: got 'yolox' without weights; expected detector\.weights=FILE\.onnx",
        ),
        (["detector.weights=a.onnx", "detector.rectangular=true"], r"detector\.rectangular: got true for 'a\.onnx'"),
    ],
)
def test_settings_that_no_onnx_file_takes_are_refused(keys: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_detector(load_settings(TrackSettings, keys, base="track"), "")


@pytest.mark.parametrize("error", [ValueError("a bad frame"), RuntimeError("out of memory"), KeyboardInterrupt()])
def test_tracks_before_a_failure_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """The detector fails at frame 6: the five frames before are in the file, and the error is the detector's own."""
    boxes = Detections(np.array([[20, 20, 60, 120]], float), np.array([0.9]))
    seen: list[int] = []

    def detector(image: Any) -> Detections:
        seen.append(1)
        if len(seen) == 6:
            raise error
        return boxes

    job = Job("clip", "synthetic", "bytetrack", results=str(tmp_path / "a.txt"), output=str(tmp_path / "a.mp4"))
    with pytest.raises(type(error)):
        run(SETTINGS, job, detector=detector)
    assert read_results(tmp_path / "a.txt").frame.tolist() == [1, 2, 3, 4, 5]
    assert "after 5 frames, whose tracks are kept in" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_video_that_cannot_be_written_costs_the_video_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mot_reid.data.video_writer import VideoWriter

    real = VideoWriter.write

    def full(self: VideoWriter, image: Any) -> None:
        if self.frames == 4:
            raise OSError("no space left")
        real(self, image)

    monkeypatch.setattr(VideoWriter, "write", full)
    job = Job("clip", "synthetic", "sort", results=str(tmp_path / "a.txt"), output=str(tmp_path / "a.mp4"))
    summary = run(SETTINGS, job)
    assert summary["frames"] == 8 and summary["video_stopped"] == "no space left"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert "the annotated video could not be written at frame 5" in caplog.text
