"""motion.py against filters written with full matrices, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import boxes
from mot_reid.tracking.motion import CROSS, POSITION, POSITION_VARIANCE, VELOCITY, VELOCITY_VARIANCE, Filter
from mot_reid.tracking.presets import BOTSORT, BYTETRACK, OCSORT, SORT

SEEN = np.array([[100.0, 50.0, 140.0, 150.0], [10.0, 20.0, 60.0, 120.0], [300.0, 200.0, 330.0, 290.0]]).T
STEPS = np.array([[3.0, -2.0, 3.5, -2.2], [-1.0, 0.5, -1.0, 1.0], [0.0, 4.0, 0.5, 4.0]]).T


def byte_noise(h):
    return {
        "p0": [h / 10, h / 10, 1e-2, h / 10, h / 16, h / 16, 1e-5, h / 16],
        "q": lambda x: [x[3] / 20, x[3] / 20, 1e-2, x[3] / 20, x[3] / 160, x[3] / 160, 1e-5, x[3] / 160],
        "r": lambda x: [x[3] / 20, x[3] / 20, 1e-1, x[3] / 20],
    }


def bot_noise(w, h):
    return {
        "p0": [w / 10, h / 10, w / 10, h / 10, w / 16, h / 16, w / 16, h / 16],
        "q": lambda x: [x[i] / 20 for i in (2, 3, 2, 3)] + [x[i] / 160 for i in (2, 3, 2, 3)],
        "r": lambda x: [x[i] / 20 for i in (2, 3, 2, 3)],
    }


def sort_noise():
    return {
        "p0": np.sqrt([10, 10, 10, 10, 1e4, 1e4, 1e4, 0]),
        "q": lambda x: np.sqrt([1, 1, 1, 1, 0.01, 0.01, 1e-4, 0]),
        "r": lambda x: np.sqrt([1, 1, 10, 10]),
    }


def naive(measurements: np.ndarray, noise: dict) -> tuple[np.ndarray, np.ndarray]:
    """The textbook filter with 8 x 8 matrices: initiate at the first measurement, then predict and update."""
    x = np.concatenate([measurements[0], np.zeros(4)])
    covariance = np.diag(np.square(noise["p0"]))
    move = np.eye(8) + np.diag(np.ones(4), 4)
    see = np.eye(4, 8)
    for z in measurements[1:]:
        q = np.diag(np.square(noise["q"](x)))
        x, covariance = move @ x, move @ covariance @ move.T + q
        s = see @ covariance @ see.T + np.diag(np.square(noise["r"](x)))
        gain = covariance @ see.T @ np.linalg.inv(s)
        x = x + gain @ (z - see @ x)
        covariance = covariance - gain @ s @ gain.T
    return x, covariance


def xyah(xyxy):
    """Centre, aspect (width / height) and height."""
    x, y, width, height = boxes.xyxy_to_cxcywh(xyxy).T
    return np.stack([x, y, width / height, height], axis=-1)


def xysr(xyxy):
    """Centre, area and aspect."""
    x, y, width, height = boxes.xyxy_to_cxcywh(xyxy).T
    return np.stack([x, y, width * height, width / height], axis=-1)


@pytest.mark.parametrize(
    ("preset", "convert"),
    [(BYTETRACK, xyah), (BOTSORT, boxes.xyxy_to_cxcywh), (SORT, xysr)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_filter_matches_full_matrices(preset, convert):
    motion = Filter(preset.motion)
    path = [SEEN + step * STEPS for step in range(6)]
    state = motion.initiate(motion.measure(path[0]))
    for seen in path[1:]:
        state = motion.update(motion.predict(state), motion.measure(seen))
    for track in range(3):
        measured = np.array([convert(seen[:, track]) for seen in path])
        first = measured[0]
        noise = {"bytetrack": byte_noise(first[3]), "botsort": bot_noise(*first[2:]), "sort": sort_noise()}
        x, covariance = naive(measured, noise[preset.name])
        np.testing.assert_allclose(state[POSITION, :, track], x[:4], rtol=1e-9)
        np.testing.assert_allclose(state[VELOCITY, :, track], x[4:], rtol=1e-7, atol=1e-9)
        diagonal = np.diag(covariance)
        np.testing.assert_allclose(state[POSITION_VARIANCE, :, track], diagonal[:4], rtol=1e-7)
        np.testing.assert_allclose(state[VELOCITY_VARIANCE, :, track], diagonal[4:], rtol=1e-7, atol=1e-12)
        np.testing.assert_allclose(state[CROSS, :, track], np.diag(covariance, 4), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("preset", [SORT, BYTETRACK, BOTSORT], ids=lambda preset: preset.name)
def test_measure_and_boxes_are_inverse(preset):
    motion = Filter(preset.motion)
    np.testing.assert_allclose(motion.boxes(motion.initiate(motion.measure(SEEN))), SEEN, atol=1e-9)


def test_predict_of_three_steps_is_three_predictions():
    motion = Filter(SORT.motion)  # its process noise does not depend on the state
    state = motion.update(motion.predict(motion.initiate(motion.measure(SEEN))), motion.measure(SEEN + STEPS))
    one_by_one = motion.predict(motion.predict(motion.predict(state)))
    np.testing.assert_allclose(motion.predict(state, 3.0), one_by_one, rtol=1e-9)


def test_predict_of_half_a_step_moves_half_as_far():
    motion = Filter(BYTETRACK.motion)
    state = motion.update(motion.predict(motion.initiate(motion.measure(SEEN))), motion.measure(SEEN + STEPS))
    moved = motion.predict(state, 0.5)[POSITION] - state[POSITION]
    np.testing.assert_allclose(moved, state[VELOCITY] / 2, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("preset", [SORT, BYTETRACK, BOTSORT], ids=lambda preset: preset.name)
def test_predict_never_lets_a_size_become_negative(preset):
    motion = Filter(preset.motion)
    state = motion.initiate(motion.measure(SEEN))
    state[VELOCITY, 2:] = -2 * state[POSITION, 2:]
    predicted = motion.predict(state)
    np.testing.assert_array_equal(predicted[POSITION, 2:], state[POSITION, 2:])
    assert not predicted[VELOCITY, 2:].any()


def test_replay_matches_a_filter_fed_with_the_virtual_path():
    """Gaps of 2 and 4 frames in one call, each as naive loops over single tracks do it."""
    motion = Filter(OCSORT.motion)
    begin, end, gap = SEEN[:, :2], SEEN[:, :2] + 30.0, np.array([2, 4])
    before = motion.initiate(motion.measure(begin))
    first_miss = motion.predict(before)
    together = motion.replay(first_miss, begin, end, gap=gap)
    for track, frames in enumerate(gap):
        state = before[:, :, [track]]
        for step in range(1, frames + 1):
            centre_size_begin = boxes.xyxy_to_cxcywh(begin[:, track])
            centre_size_end = boxes.xyxy_to_cxcywh(end[:, track])
            virtual = centre_size_begin + step / frames * (centre_size_end - centre_size_begin)
            measured = motion.measure(boxes.cxcywh_to_xyxy(virtual)[:, None])
            state = motion.update(motion.predict(state), measured)
        np.testing.assert_allclose(together[:, :, track], state[:, :, 0], rtol=1e-9)


@pytest.mark.parametrize("preset", [SORT, BYTETRACK, BOTSORT], ids=lambda preset: preset.name)
def test_warp_scales_and_shifts_boxes_like_the_picture(preset):
    motion = Filter(preset.motion)
    state = motion.initiate(motion.measure(SEEN))
    warped = motion.boxes(motion.warp(state, np.array([[1.5, 0.0, 7.0], [0.0, 1.5, -3.0]])))
    np.testing.assert_allclose(warped, SEEN * 1.5 + np.array([7.0, -3.0, 7.0, -3.0])[:, None], rtol=1e-9)


def test_warp_turns_the_centre_and_its_velocity_and_keeps_boxes_upright():
    motion = Filter(BYTETRACK.motion)
    state = motion.initiate(motion.measure(SEEN))
    state[VELOCITY, :2] = [[1.0], [0.0]]
    quarter_turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    warped = motion.warp(state, quarter_turn)
    np.testing.assert_allclose(warped[POSITION, 0], -state[POSITION, 1])
    np.testing.assert_allclose(warped[VELOCITY, :2], [[0.0] * 3, [1.0] * 3], atol=1e-12)
    np.testing.assert_allclose(warped[POSITION, 2:], state[POSITION, 2:])


def test_methods_leave_their_arguments_alone():
    motion = Filter(OCSORT.motion)
    state = motion.initiate(motion.measure(SEEN))
    given, seen = state.copy(), SEEN.copy()
    motion.predict(state)
    motion.predict(state, 2.5)
    motion.update(state, motion.measure(seen))
    motion.warp(state, np.eye(2, 3) * 2)
    motion.replay(state, seen, seen, gap=np.array([2, 2, 3]))
    np.testing.assert_array_equal(state, given)
    np.testing.assert_array_equal(seen, SEEN)
