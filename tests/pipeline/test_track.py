"""`track` with a path and names gives what a plain loop over opened things gives."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video import VideoReader
from mot_reid.detection.onnx import OnnxDetector
from mot_reid.detection.public import PublicDetector
from mot_reid.pipeline import track as module
from mot_reid.pipeline.track import track
from mot_reid.structures import Tracks
from mot_reid.tracking.tracker import Tracker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A MOTChallenge sequence of the synthetic clip, which says its frame rate."""
    (tmp_path / "img1").mkdir()
    for number, image in enumerate(walkers(frames=12).images, 1):
        Image.fromarray(image[..., ::-1]).save(tmp_path / "img1" / f"{number:06d}.png")
    (tmp_path / "seqinfo.ini").write_text(
        "[Sequence]\nname=clip\nimDir=img1\nframeRate=5\nseqLength=12\nimWidth=640\nimHeight=360\nimExt=.png\n"
    )
    return tmp_path


def assert_same(found: list[Tracks], expected: list[Tracks]) -> None:
    assert len(found) == len(expected) > 0
    assert max(len(one) for one in expected) > 1
    for one, other in zip(found, expected):
        assert one.track_id.tolist() == other.track_id.tolist()
        assert np.array_equal(one.xyxy, other.xyxy)


def test_path_and_names_are_a_loop_with_the_frame_rate_of_the_video(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, asked, made = walkers(frames=12), [], []

    def opened(weights: Any) -> PublicDetector:
        asked.append(weights)
        return PublicDetector(clip.detections)

    def tracker(*args: Any, **keywords: Any) -> Tracker:
        made.append(Tracker(*args, **keywords))
        return made[-1]

    monkeypatch.setattr(module, "YoloDetector", opened)
    monkeypatch.setattr(module, "Tracker", tracker)
    by_hand = Tracker("bytetrack", frame_rate=5)
    expected = [by_hand.update(found) for found in clip.detections]
    assert_same(list(track(folder, detector="yolov8n.pt", tracker="bytetrack")), expected)
    assert asked == ["yolov8n.pt"] and made[0].frame_rate == 5


def test_preset_with_appearance_gets_the_bundled_model(folder: Path) -> None:
    clip = walkers(frames=12)
    by_hand = Tracker("bytetrack_reid", reid="osnet_x0_25_cameras", frame_rate=5)
    expected = [by_hand.update(found, image) for found, image in zip(clip.detections, clip.images)]
    assert_same(list(track(folder, PublicDetector(clip.detections), "bytetrack_reid")), expected)


def test_mistakes_are_errors_of_the_call(folder: Path) -> None:
    nobody = PublicDetector(walkers(frames=12).detections)
    with pytest.raises(FileNotFoundError, match=r"detector: got '.*gone.onnx', which is not there"):
        track(folder, folder / "gone.onnx", "bytetrack")
    with pytest.raises(FileNotFoundError, match=r"video: got 'gone.mp4'; expected an existing file"):
        track("gone.mp4", nobody, "bytetrack")
    with pytest.raises(ValueError, match=r"'bytetrak'.*did you mean 'bytetrack'"):
        track(folder, nobody, "bytetrak")
    with pytest.raises(ValueError, match=r"tracker: got the name 'sort' for images without a frame rate; expected"):
        track([], nobody, "sort")


@pytest.mark.data
def test_real_video_by_names_is_the_loop_by_hand(real_data: Path) -> None:
    network, video = real_data.parent / "models" / "yolox_nano_coco.onnx", real_data / "video" / "tud-campus.mp4"
    if not network.is_file() or not video.is_file():
        pytest.skip("real data: no YOLOX-nano or no video beside it")
    detector, by_hand = OnnxDetector(network), Tracker("bytetrack", frame_rate=25)
    with VideoReader(video) as reader:
        expected = [by_hand.update(detector(frame.image)) for frame in islice(reader, 12)]
    assert_same(list(islice(track(str(video), str(network), "bytetrack"), 12)), expected)
