"""Synthetic people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.synthetic_people import Pose, draw_person, paste_person, random_person, random_pose

STANDING = Pose("front", phase=0.0, stride=0.0, lift=0.0)


def test_random_person_repeats_with_the_seed() -> None:
    first, again, other = (random_person(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again != other


@pytest.mark.parametrize("view", ["front", "back", "left", "right"])
def test_draw_person_fills_the_height(view: str) -> None:
    pose = replace(STANDING, view=view)
    alpha = np.asarray(draw_person(random_person(np.random.default_rng(0)), pose, 200))[..., 3]
    rows = np.flatnonzero(alpha.any(axis=1))
    assert rows[0] < 0.04 * 200 and rows[-1] > 0.96 * 200


def test_draw_person_left_is_the_mirror_of_right() -> None:
    person = random_person(np.random.default_rng(1))
    left, right = (np.asarray(draw_person(person, replace(STANDING, view=view), 201)) for view in ("left", "right"))
    assert (left[:, ::-1] == right).mean() > 0.97


def test_draw_person_shows_the_trousers_in_their_colour() -> None:
    person = replace(random_person(np.random.default_rng(2)), bottom="trousers", bottom_color=(1, 2, 250), top="short")
    rgba = np.asarray(draw_person(person, STANDING, 200))
    legs = rgba[140:180][rgba[140:180, :, 3] > 0][:, :3]
    assert ((legs == (1, 2, 250)).all(axis=1)).mean() > 0.4


def test_paste_person_puts_the_feet_where_told_and_cuts_the_overhang() -> None:
    canvas = Image.new("RGB", (100, 100))
    figure = Image.new("RGBA", (20, 40), (255, 255, 255, 255))
    paste_person(canvas, figure, 95, 70)
    ys, xs = np.nonzero(np.asarray(canvas)[..., 0])
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (85, 99, 30, 69)


def test_random_pose_takes_every_side() -> None:
    rng = np.random.default_rng(0)
    assert {random_pose(rng).view for _ in range(60)} == {"front", "back", "left", "right"}
