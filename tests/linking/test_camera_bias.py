"""What all people of a camera share is taken off: against numbers worked out by hand, and what it changes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mot_reid.linking.camera_bias import without_common
from tests.linking.test_link import tracklets


def unit(vector):
    return vector / np.linalg.norm(vector, axis=1, keepdims=True)


def test_two_cameras_by_hand() -> None:
    """Camera 0 sees (1, 0) and (0, 1), camera 1 sees (1, 0)."""
    seen = tracklets([0, 1, 2], cameras=[0, 0, 1], dim=2).replace(embedding=np.array([[1, 0], [0, 1], [1, 0]]))
    overall = np.array([2, 1]) / 53
    mean = [(np.array([1, 1]) + 20 * overall) / 22, (np.array([1, 0]) + 20 * overall) / 21]
    less = seen.embedding - np.array([mean[0], mean[0], mean[1]])
    square = (less**2).sum(axis=0)
    usual = square.mean() / 3
    spread = np.sqrt((square + 50 * usual) / 53 + 0.01 * usual)
    assert_allclose(without_common(seen), unit(less / spread), atol=1e-6)


def test_light_of_a_camera_makes_strangers_no_more_alike() -> None:
    """Three hundred strangers, half of them under a light that adds a vector of their own length."""
    rng = np.random.default_rng(0)
    plain = rng.normal(size=(300, 64)) / 8
    lit = plain + (np.arange(300) < 150)[:, None] * rng.normal(size=64) / 8
    seen = tracklets(list(range(300)), cameras=np.arange(300) // 150).replace(embedding=unit(lit))
    before, after = (e[:150] @ e[:150].T for e in (seen.embedding, without_common(seen)))
    pairs = np.triu_indices(150, 1)
    assert before[pairs].mean() > 0.4 and abs(after[pairs].mean()) < 0.02


def test_few_tracklets_stay_nearly_as_they_are() -> None:
    """The mean of three tracklets of one person is that person, who must not be taken off."""
    seen = tracklets([0, 0, 0])
    found = without_common(seen)
    assert (found @ found.T).min() > 0.9
    assert_allclose((found * seen.embedding).sum(axis=1), 1, atol=0.1)


@pytest.mark.parametrize("rows", [0, 1])
def test_no_tracklet_and_one(rows) -> None:
    assert without_common(tracklets([0, 1])[:rows]).shape == (rows, 64)


def test_tracklets_that_are_all_alike_stay_of_unit_length() -> None:
    seen = tracklets([0]).replace(embedding=np.eye(1, 64))
    many = type(seen).concatenate([seen] * 400)
    assert_allclose(np.linalg.norm(without_common(many), axis=1), 1, atol=1e-5)
