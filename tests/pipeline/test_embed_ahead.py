"""Embeddings ahead of the tracker are those that it would have asked for itself."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.data.synthetic_clip import walkers
from mot_reid.detection.public import PublicDetector
from mot_reid.pipeline.embed_ahead import EmbedAhead
from mot_reid.pipeline.steps import steps
from mot_reid.structures import Detections
from mot_reid.tracking.score_level import least_high
from mot_reid.tracking.tracker import Tracker


class Colours:
    """The mean colour of a box as its embedding, and how often it was asked for."""

    threshold = 0.9

    def __init__(self) -> None:
        self.calls, self.boxes = 0, 0

    def __call__(self, image: np.ndarray, xyxy: np.ndarray) -> np.ndarray:
        return self.many([image], [xyxy])[0]

    def many(self, images: list[np.ndarray], xyxy: list[np.ndarray]) -> list[np.ndarray]:
        self.calls += 1
        self.boxes += sum(len(boxes) for boxes in xyxy)
        return [
            np.array([_colour(image, box) for box in boxes], np.float32).reshape(-1, 3)
            for image, boxes in zip(images, xyxy)
        ]


def _colour(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = box.clip(0).astype(int)
    inside = image[y1 : y2 + 1, x1 : x2 + 1].reshape(-1, 3)
    mean = inside.mean(0) + 1 if inside.size else np.ones(3)
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("preset", ["bytetrack_reid", "botsort"])
def test_tracks_are_those_of_a_tracker_that_embeds_itself(preset: str) -> None:
    clip, told = walkers(frames=40), {}
    for batch in (None, 1, 7):
        colours = Colours()
        tracker = Tracker(preset, reid=colours, frame_rate=clip.frame_rate, appearance="always")
        ahead = None if batch is None else EmbedAhead(colours.many, above=least_high(tracker.preset))
        detector = PublicDetector(clip.detections)
        found = steps(clip.images, detector, tracker, batch=batch or 1, enrich=ahead)
        told[batch] = [(step.tracks.track_id.tolist(), step.tracks.xyxy.tolist()) for step in found], colours
    assert told[1][0] == told[None][0] == told[7][0]
    # Ahead, the bands of a frame are not known yet, so a few boxes more are embedded, and not used.
    assert told[None][1].boxes <= told[1][1].boxes == told[7][1].boxes
    assert told[7][1].calls == 6 and told[None][1].calls == 40


def test_boxes_at_or_below_the_limit_are_left_out() -> None:
    found = Detections(np.array([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]], float), np.array([0.3, 0.9, 0.6]))
    colours, image = Colours(), np.full((10, 50, 3), 7, np.uint8)
    row = EmbedAhead(colours.many, above=0.6)([image], [found])[0].embedding
    assert row is not None and np.isnan(row).all(axis=1).tolist() == [True, False, True]
    assert colours.boxes == 1


def test_nothing_is_asked_where_nobody_is() -> None:
    colours, image = Colours(), np.zeros((10, 10, 3), np.uint8)
    empty = Detections(np.zeros((0, 4)), np.zeros(0))
    assert EmbedAhead(colours.many, above=None)([image, image], [empty, empty])[0].embedding is None
    assert colours.calls == 0
