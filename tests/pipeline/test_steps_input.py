"""track: what is no sequence of images is refused, not taken for a short or an empty video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mot_reid import Detections, Tracker, track
from mot_reid.pipeline.steps import steps

IMAGE = np.zeros((60, 80, 3), np.uint8)
BOX = np.array([[10.0, 10.0, 30.0, 50.0, 0.9]])


def _detect(image: np.ndarray) -> np.ndarray:
    return BOX


@pytest.mark.parametrize("path", ["video.mp4", Path("video.mp4")])
def test_steps_refuse_the_name_of_a_video(path: str | Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"frames: got 'video.mp4'; expected images; use mot_reid.track",
    ):
        list(steps(path, _detect, Tracker()))  # type: ignore[arg-type]


def test_track_refuses_a_frame_that_was_not_loaded_after_those_before_it() -> None:
    found = track([IMAGE, IMAGE, None, IMAGE], _detect, Tracker())
    assert [len(next(found)), len(next(found))] == [1, 1]
    with pytest.raises(ValueError, match="frames: got NoneType as frame 3; expected an array"):
        next(found)


@pytest.mark.parametrize("presence", [0, 1])
def test_tracker_that_embeds_asks_for_the_image_before_it_needs_it(presence: int) -> None:
    def embed(image: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
        return np.ones((len(xyxy), 4), np.float32)

    tracker = Tracker("bytetrack_reid", reid=embed, gate=0.5)
    with pytest.raises(ValueError, match="image: got None; expected the frame"):
        tracker.update(BOX[:presence])
    assert len(tracker.update(Detections(BOX[:, :4], BOX[:, 4]), IMAGE)) == 1
