"""camera.py: a drawn background, moved by a known transform."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import Tracker
from mot_reid.tracking.camera import CameraMotion

cv2 = pytest.importorskip("cv2")


def background(width: int = 480, height: int = 360) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // 12, width // 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def moved(image: np.ndarray, transform: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.warpAffine(image, transform, (width, height), borderMode=cv2.BORDER_REFLECT)


SHIFT = np.array([[1.0, 0.0, 6.0], [0.0, 1.0, -4.0]])
TURN = cv2.getRotationMatrix2D((240, 180), 1.0, 1.0)
ZOOM = cv2.getRotationMatrix2D((240, 180), 0.0, 1.03)
JUMP = np.array([[1.0, 0.0, 24.0], [0.0, 1.0, 0.0]])
BEFORE = np.array([[200.0, 150.0, 222.0, 210.0, 0.9]])
AFTER = np.array([[224.0, 150.0, 246.0, 210.0, 0.9]])
POINTS = np.array([[100.0, 240, 380], [90, 180, 270], [1, 1, 1]])


@pytest.mark.parametrize(
    ("method", "transform"),
    [("sparse_flow", SHIFT), ("sparse_flow", TURN), ("sparse_flow", ZOOM), ("ecc", SHIFT), ("ecc", TURN)],
    ids=["flow shift", "flow turn", "flow zoom", "ecc shift", "ecc turn"],
)
@pytest.mark.parametrize("scale", [1, 3])
def test_estimate_finds_the_motion_of_the_background(method, transform, scale):
    camera = CameraMotion(method)
    first = background()
    pair = [cv2.resize(image, None, fx=scale, fy=scale) for image in (first, moved(first, transform))]
    camera.remember(camera.estimate(pair[0])[1])
    found, _ = camera.estimate(pair[1])
    expected = transform @ POINTS * scale
    np.testing.assert_allclose(found @ (POINTS * [[scale], [scale], [1]]), expected, atol=0.6 * scale)


def test_people_are_left_out_of_the_estimate():
    still, camera = background(), CameraMotion("sparse_flow")
    boxes = np.array([[60.0, 40.0, 420.0, 320.0]])
    walked = still.copy()
    walked[40:320, 70:420] = still[40:320, 60:410]
    camera.remember(camera.estimate(still)[1])
    np.testing.assert_allclose(camera.estimate(walked, boxes)[0], np.eye(2, 3), atol=0.3)
    assert abs(camera.estimate(walked)[0][0, 2]) > 5


@pytest.mark.parametrize("method", ["sparse_flow", "ecc"])
def test_first_frame_and_featureless_frames_say_no_motion(method):
    camera, grey = CameraMotion(method), np.full((360, 480, 3), 128, np.uint8)
    for image in (grey, grey, background(), background(240, 180)):
        transform, small = camera.estimate(image)
        np.testing.assert_allclose(transform, np.eye(2, 3), atol=1e-6)
        camera.remember(small)


def test_moving_camera_is_followed_by_botsort_and_loses_the_track_without():
    """The camera jumps by 24 pixels: more than the box is wide."""
    answer = {}
    for method in ("sparse_flow", "none"):
        tracker = Tracker("botsort", camera=method)
        for _ in range(5):
            tracker.update(BEFORE, background())
        answer[method] = tracker.update(AFTER, moved(background(), JUMP)).track_id.tolist()
    assert answer == {"sparse_flow": [1], "none": [2]}


def test_resumed_tracker_knows_the_previous_frame():
    first, second = Tracker("botsort"), Tracker("botsort")
    for _ in range(5):
        first.update(BEFORE, background())
    second.load_state_dict(first.state_dict())
    tracks = second.update(AFTER, moved(background(), JUMP))
    assert tracks.track_id.tolist() == [1]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((9, 9, 3)), np.zeros((3, 9, 9), np.uint8), np.zeros((0, 9, 3), np.uint8), np.zeros(9, np.uint8), None],
)
def test_estimate_refuses_what_is_no_image(wrong):
    with pytest.raises(ValueError, match=r"image: got .*; expected (an array, )?uint8 \(H, W, 3\)"):
        CameraMotion("ecc").estimate(wrong)
