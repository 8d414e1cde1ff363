"""Tracking: association alone, as the crowd grows, compared with a plain round of NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.benchmark.machine import median_seconds
from mot_reid.benchmark.results import Figure
from mot_reid.boxes import iou
from mot_reid.tracking.tracker import Tracker

_CROWDS = (7, 10, 50, 100, 500)
_FRAMES = 100
_CALLS = 1000
_PICTURE = np.array([3840.0, 2160.0])


def measure(preset: str) -> Iterator[Figure]:
    """Yields the microseconds per frame of a preset without appearance, in crowds that walk about.

    And those of a single NumPy call on a few numbers: a frame of few people consists of such calls, so it says how many
    of them the frame takes as long as, whatever else the machine does.

    Args:
        preset: of the tracker.
    """
    for people in _CROWDS:
        frames = _crowd(people)

        def run(frames: list[np.ndarray] = frames) -> None:
            tracker = Tracker(preset, camera="none")
            for boxes in frames:
                tracker.update(boxes)

        seconds = median_seconds(run, least=3) / _FRAMES
        plain = 1e6 * _plain_round(frames)
        yield Figure(f"track/{preset}_{people}", 1e6 * seconds, "us", plain, "a plain NumPy round")
    yield Figure("track/numpy_call", 1e6 * _bare_call(), "us")


def _bare_call() -> float:
    """Seconds of adding two small arrays."""
    boxes = np.ones((4, 7))

    def run() -> None:
        for _ in range(_CALLS):
            np.add(boxes, boxes)

    return median_seconds(run) / _CALLS


def _plain_round(frames: list[np.ndarray]) -> float:
    """Seconds of one frame as NumPy and SciPy do it plainly: predict, all overlaps, assignment, update."""
    transition, half = np.eye(8) + np.eye(8, k=4), np.full(4, 0.5)

    def run() -> None:
        for before, now in pairwise(frames):
            state = np.hstack([before[:, :4], np.zeros((len(before), 4))]) @ transition.T
            row, column = linear_sum_assignment(-iou(state[:, :4], now[:, :4]))
            state[row, :4] += half * (now[column, :4] - state[row, :4])

    return median_seconds(run, least=3) / (len(frames) - 1)


def _crowd(people: int) -> list[np.ndarray]:
    """(N, 5) boxes and scores of each frame: people of two to five metres a second, one in twenty missed."""
    rng = np.random.default_rng(0)
    height = rng.uniform(60, 160, people)
    size = np.column_stack([height * rng.uniform(0.35, 0.5, people), height])
    centre, speed = rng.uniform((0, 0), _PICTURE, (people, 2)), rng.normal(0, 3, (people, 2))
    frames = []
    for _ in range(_FRAMES):
        speed += rng.normal(0, 0.3, speed.shape)
        centre += speed
        speed[(centre < 0) | (centre > _PICTURE)] *= -1
        corners = np.hstack([centre - size / 2, centre + size / 2]) + rng.normal(0, 1.5, (people, 4))
        score = np.clip(rng.normal(0.75, 0.2, people), 0.12, 0.99)
        frames.append(np.column_stack([corners, score])[rng.random(people) < 0.95])
    return frames
