"""The synthetic street scene."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import boxes
from mot_reid.data.synthetic_clip import CAMERAS, Clip, walkers, walkers_seen_by


@pytest.fixture(scope="module")
def clip() -> Clip:
    return walkers()


def test_walkers_gives_one_image_and_one_set_of_detections_per_frame(clip: Clip) -> None:
    assert len(clip.images) == len(clip.detections) == 100
    assert {image.shape for image in clip.images} == {(270, 480, 3)}
    assert clip.truth.frame.min() == 1 and clip.truth.frame.max() == 100
    assert clip.visibility.shape == (len(clip.truth),)


def test_walkers_repeats_with_the_seed_and_changes_with_another() -> None:
    first, again, other = (walkers(frames=3, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.images[2], again.images[2])
    assert np.array_equal(first.detections[2].xyxy, again.detections[2].xyxy)
    assert not np.array_equal(first.images[2], other.images[2])


def test_walkers_has_somebody_who_leaves_and_comes_back(clip: Clip) -> None:
    seen = clip.truth.frame[clip.truth.track_id == 3]
    assert np.diff(seen).max() > 25
    assert (seen < 30).any() and (seen > 80).any()


def test_walkers_one_and_two_change_sides(clip: Clip) -> None:
    x = [clip.truth[clip.truth.track_id == person].xyxy[:, 0] for person in (1, 2)]
    assert x[0][0] < x[1][0] and x[0][-1] > x[1][-1]


def test_walkers_hide_each_other_at_times(clip: Clip) -> None:
    assert (clip.visibility < 0.3).sum() > 5
    assert (clip.visibility == 1).mean() > 0.3


def test_walkers_detections_lie_on_people_and_inside_the_picture(clip: Clip) -> None:
    hits = total = 0
    for frame, detections in enumerate(clip.detections, start=1):
        truth = clip.truth[clip.truth.frame == frame].xyxy
        hits += int((boxes.iou(detections.xyxy, boxes.clip(truth, 480, 270)).max(axis=1) > 0.5).sum())
        total += len(detections)
        assert (detections.xyxy >= 0).all() and (detections.xyxy[:, [0, 2]] <= 480).all()
    assert 0.9 < hits / total < 1.0


def test_walkers_miss_somebody_now_and_then(clip: Clip) -> None:
    assert 0.7 * len(clip.truth) < sum(map(len, clip.detections)) < len(clip.truth)


def test_walkers_are_drawn_where_the_truth_says(clip: Clip) -> None:
    street = np.median(np.stack(clip.images), axis=0)
    row = clip.truth[(clip.truth.frame == 1) & (clip.truth.track_id == 1)]
    x1, y1, x2, y2 = row.xyxy[0].round().astype(int)
    changed = np.abs(clip.images[0].astype(float) - street).max(axis=-1) > 20
    assert changed[y1:y2, x1:x2].mean() > 0.3
    assert changed[: y1 - 5, x1:x2].mean() < 0.01


@pytest.mark.parametrize(("name", "value"), [("frames", 0), ("people", 2), ("width", 10), ("height", 10)])
def test_walkers_refuse_an_impossible_scene(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"walkers {name}: got {value}; expected .* or more"):
        walkers(**{name: value})


def test_walkers_images_are_blue_green_red(clip: Clip) -> None:
    """The house wall is a warm grey: more red than blue."""
    wall = clip.images[0][:25].mean(axis=(0, 1))
    assert wall[2] > wall[1] > wall[0] > 100


def test_cameras_see_the_same_people_at_the_same_time_from_two_sides() -> None:
    """The opposite camera sees people walk the other way, at the mirrored place, and far people near."""
    here, opposite = (walkers_seen_by(camera, frames=40).truth for camera in (0, 1))
    compared = 0
    for person in np.unique(here.track_id):
        mine, other = (table[table.track_id == person] for table in (here, opposite))
        frames, a, b = np.intersect1d(mine.frame, other.frame, return_indices=True)
        if len(frames) < 10:
            continue
        x, y = (t.xyxy[rows][:, [0, 2]].mean(axis=1) / 480 for t, rows in ((mine, a), (other, b)))
        np.testing.assert_allclose(x + y, 1.1, atol=1e-9)
        tall = [np.diff(t.xyxy[:1, [1, 3]])[0, 0] / 270 for t in (mine, other)]
        assert sum(tall) == pytest.approx(0.84)
        compared += 1
    assert compared >= 4


def test_third_camera_sees_who_left_the_first_one() -> None:
    first, third = (walkers_seen_by(camera).truth for camera in (0, 2))
    gone = np.setdiff1d(np.arange(1, 101), first.frame[first.track_id == 3])
    assert len(gone) > 25
    assert np.isin(gone, third.frame[third.track_id == 3]).all()


def test_cameras_differ_in_light_and_are_refused_beyond_the_last() -> None:
    bright, dim, warm = (walkers_seen_by(camera, frames=1).images[0].mean(axis=(0, 1)) for camera in range(CAMERAS))
    assert (dim < 0.95 * bright).all() and warm[2] / warm[0] > 1.2 * bright[2] / bright[0]
    with pytest.raises(ValueError, match="walkers camera: got 3; expected 0 to 2"):
        walkers_seen_by(CAMERAS)
