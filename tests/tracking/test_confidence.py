"""The expected score of a track against a Kalman filter with matrices, and by hand."""

from __future__ import annotations

import numpy as np

from mot_reid.tracking import confidence
from mot_reid.tracking.motion import POSITION

MOVE, NOISE = np.array([[1.0, 1], [0, 1]]), np.diag([1.0, 1e-4])


class Kalman:
    """The filter of the paper's code for one score, with 2 x 2 matrices."""

    def __init__(self, score: float) -> None:
        self.mean, self.covariance = np.array([score, 0.0]), np.diag([10.0, 1e4])

    def predict(self) -> None:
        self.mean, self.covariance = MOVE @ self.mean, MOVE @ self.covariance @ MOVE.T + NOISE

    def update(self, score: float) -> None:
        gain = self.covariance[:, 0] / (self.covariance[0, 0] + 10.0)
        self.mean = self.mean + gain * (score - self.mean[0])
        self.covariance = self.covariance - np.outer(gain, self.covariance[0])


def test_filter_is_that_of_matrices() -> None:
    scores, other = [0.9, 0.85, 0.7, 0.75, 0.5], [0.2, 0.3, 0.4, 0.3, 0.3]
    state, kalman = confidence.begin(np.array([scores[0], other[0]])), Kalman(scores[0])
    for score, second in zip(scores[1:], other[1:]):
        state = confidence.update(confidence.predict(state, 1.0), np.array([score, second]))
        kalman.predict()
        kalman.update(score)
        np.testing.assert_allclose(state[POSITION, 0], kalman.mean[0])
    for _ in range(2):
        kalman.predict()
    np.testing.assert_allclose(confidence.predict(state, 2.0)[POSITION, 0], kalman.mean[0], atol=1e-3)


def test_replay_sees_a_straight_line_through_the_absence() -> None:
    """Frames 1 to 3 of a fall from 0.9 to 0.6, in which the track was not seen until the last one."""
    state, kalman = confidence.predict(confidence.begin(np.array([0.9])), 1.0), Kalman(0.9)
    found = confidence.replay(state, np.array([0.9]), np.array([0.6]), gap=np.array([3]))
    for score in (0.8, 0.7, 0.6):
        kalman.predict()
        kalman.update(score)
    np.testing.assert_allclose(found[POSITION], kalman.mean[:1])


def test_scores_go_on_as_before_within_the_low_band() -> None:
    """0.45 after 0.4 becomes 0.5; 0.2 after 0.4 stops at the band's foot; 0.9 stops at its top."""
    expected = confidence.continued(np.array([0.45, 0.2, 0.9]), np.array([0.4, 0.4, 0.9]), low=0.1, high=0.6)
    np.testing.assert_allclose(expected, [0.5, 0.1, 0.6])
