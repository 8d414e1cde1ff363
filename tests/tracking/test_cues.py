"""cues.py against values by hand."""

from __future__ import annotations

import numpy as np

from mot_reid.tracking import cues


def column(*box: float) -> np.ndarray:
    return np.array(box, float)[:, None]


def test_height_overlap_is_shared_over_whole_extent():
    """0 to 100 and 50 to 150 share 50 of 150, wherever they are in x; those apart share nothing."""
    first = column(0, 0, 10, 100)
    np.testing.assert_allclose(cues.height_overlap(first, column(500, 50, 510, 150)), [50 / 150])
    np.testing.assert_allclose(cues.height_overlap(first, column(0, 200, 10, 300)), [0.0])


def test_corners_go_where_each_of_them_goes():
    """The left side moves right by 3 and down by 4, the right side only right."""
    steps = cues.corner_steps(column(0, 0, 10, 20), column(3, 4, 13, 20))[:, :, 0]
    np.testing.assert_allclose(steps, [[0.6, 0.8], [1, 0], [0.6, 0.8], [1, 0]], atol=1e-4)


def test_directions_weigh_old_steps_less_and_leave_out_the_unseen():
    """One step right a frame ago (weight 1), unseen two frames ago, down since three frames ago (1/3); over 3."""
    now = column(10, 10, 20, 30)
    path = np.stack([column(10, 0, 20, 20), column(*[np.nan] * 4), column(0, 10, 10, 30)])
    for corner in cues.corner_directions(path, now)[:, :, 0]:
        np.testing.assert_allclose(corner, [1 / 3, 1 / 9], atol=1e-5)


def test_turn_is_the_mean_angle():
    """Two corners go on, one turns at a right angle, one turns back: (0 + 0 + 0.5 + 1) / 4."""
    directions = np.array([[1.0, 0]] * 4)[:, :, None]
    steps = np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0]])[:, :, None]
    np.testing.assert_allclose(cues.turn(directions, steps), [1.5 / 4])
