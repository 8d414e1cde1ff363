"""A camera that pans over people who stand still: all that a tracker remembers moves with the picture."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import Detections, Tracker
from mot_reid.tracking.motion import Filter, warp_boxes, warp_directions
from mot_reid.tracking.presets import PRESETS
from mot_reid.tracking.recall import Edges

cv2 = pytest.importorskip("cv2")

WIDTH, HEIGHT = 480, 360
RNG = np.random.default_rng(0)
SCENE = cv2.resize(RNG.integers(0, 255, (30, 170, 3), dtype=np.uint8), (2040, HEIGHT), interpolation=cv2.INTER_CUBIC)
FACES = np.eye(8, dtype=np.float32)
CORNERS = np.array([[0.0, 0, 20, 50], [460, 310, 480, 360]])


def picture(left: int) -> np.ndarray:
    """What the camera sees from this column of the scene on."""
    return np.ascontiguousarray(SCENE[:, left : left + WIDTH])


def person(scene_x: float, left: int) -> np.ndarray:
    return np.array([[scene_x - left, 150.0, scene_x - left + 40, 250.0, 0.9]])


@pytest.mark.filterwarnings("ignore:preset")
@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"sort"}))
def test_person_who_stands_still_is_one_while_the_camera_swings(preset: str) -> None:
    """Hidden for 16 frames while the camera is at its fastest, 15 pixels a frame."""
    tracker = Tracker(preset, camera="sparse_flow")
    identities: set[int] = set()
    for number in range(60):
        left = round(400 + 150 * np.sin(number / 10))
        rows = np.zeros((0, 5)) if number in range(24, 40) else person(600, left)
        with np.errstate(all="raise"):
            identities |= set(tracker.update(rows, picture(left)).track_id.tolist())
    assert identities == {1}


def comes_back(camera: str, *, absent: int, pan: int) -> int:
    """The identity of who appears where person 1 vanished in the middle of the scene, and looks like that by 0.7.

    A similarity of 0.7 is enough near the place where somebody vanished (gate 0.6), and not elsewhere.
    """
    tracker = Tracker("bytetrack_reid", camera=camera, gate=0.6)
    left, alike = 300, 0.7 * FACES[:1] + np.sqrt(1 - 0.7**2) * FACES[7:]
    tracker.update(Detections(CORNERS, [0.5, 0.5], embedding=FACES[5:7]), picture(left))
    for _ in range(6):
        tracker.update(Detections(person(700, left)[:, :4], [0.9], embedding=FACES[:1]), picture(left))
    for _ in range(absent):
        left += pan
        tracker.update(Detections.empty(), picture(left))
    for _ in range(3):
        tracks = tracker.update(Detections(person(700, left)[:, :4], [0.9], embedding=alike), picture(left))
    return int(tracks.track_id[0])


@pytest.mark.parametrize(("absent", "pan"), [(10, 15), (70, 5)], ids=["lost track", "memory"])
def test_place_where_somebody_vanished_moves_with_the_picture(absent: int, pan: int) -> None:
    assert comes_back("sparse_flow", absent=absent, pan=pan) == 1
    assert comes_back("none", absent=absent, pan=pan) == 2


def test_edges_move_with_the_scene_but_not_out_of_the_picture() -> None:
    edges = Edges()
    edges.observe(np.array([[50.0], [60], [400], [300]]))
    moved = edges.moved(np.array([[1.0, 0, 100], [0, 1, -80]]), width=480, height=360)
    np.testing.assert_allclose(moved.xyxy, [150, 0, 480, 220])
    assert np.isinf(Edges().moved(np.eye(2, 3), width=480, height=360).xyxy).all()


def test_boxes_directions_and_filter_move_alike() -> None:
    """By hand: a quarter turn to the right around the origin with twice the size, then 10 to the right."""
    transform = np.array([[0.0, -2, 10], [2, 0, 0]])
    box = np.array([[10.0], [20], [30], [80]])  # centre 20, 50; 20 x 60
    np.testing.assert_allclose(warp_boxes(box, transform)[:, 0], [-90 - 20, 40 - 60, -90 + 20, 40 + 60])
    np.testing.assert_allclose(warp_directions(np.array([[1.0], [0.0]]), transform)[:, 0], [0, 1])
    for preset in PRESETS.values():
        motion = Filter(preset.motion)
        state = motion.warp(motion.initiate(motion.measure(box)), transform)
        np.testing.assert_allclose(motion.boxes(state), warp_boxes(box, transform))


def test_everything_that_is_a_place_moves() -> None:
    """OC-SORT's observations, BoT-SORT's last boxes: by ten pixels where the camera moves by ten."""
    for preset, names in (("ocsort", ("observed", "recent")), ("bytetrack_reid", ("last",))):
        tracker = Tracker(preset, camera="sparse_flow", **({"gate": 0.6} if preset == "bytetrack_reid" else {}))
        for _ in range(4):
            tracker.update(Detections(person(600, 300)[:, :4], [0.9], embedding=FACES[:1]), picture(300))
        before = tracker.state_dict()
        tracker.update(Detections.empty(), picture(290))
        after = tracker.state_dict()
        for name in names:
            old, new = before[f"tracks/{name}"], after[f"tracks/{name}"]
            kept = (old[1:], new[:-1]) if name == "recent" else (old, new)
            np.testing.assert_allclose(
                kept[1] - kept[0], np.broadcast_to([[10.0], [0], [10], [0]], kept[0].shape), atol=0.5
            )


def test_refused_frame_moves_nothing() -> None:
    tracker = Tracker("bytetrack_reid", camera="sparse_flow", gate=0.6)
    for _ in range(4):
        tracker.update(Detections(person(600, 300)[:, :4], [0.9], embedding=FACES[:1]), picture(300))
    before = tracker.state_dict()
    with pytest.raises(ValueError, match="embedding: got size 2"):
        tracker.update(Detections(person(600, 290)[:, :4], [0.9], embedding=np.eye(2)[:1]), picture(290))
    for name, value in tracker.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("method", ["sparse_flow", "ecc"])
@pytest.mark.parametrize("shape", [(4, 8000, 3), (8000, 4, 3), (1, 1, 3), (17, 17, 3), (2, 640, 3)])
def test_image_of_any_shape_is_taken(method: str, shape: tuple[int, ...]) -> None:
    tracker = Tracker("bytetrack", camera=method)
    for seed in range(3):
        image = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
        tracks = tracker.update(np.array([[0.0, 0, 2, 2, 0.9]]), image)
    assert tracks.track_id.tolist() == [1]
