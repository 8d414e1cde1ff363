"""Folders of clips as splits, the frames of a clip, and the synthetic people in motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mot_reid.data.action_clips import read_clips, read_frames
from mot_reid.data.synthetic_actions import FRAME_RATE, MOTIONS, generate, scene
from mot_reid.data.video_writer import VideoWriter


def clip_file(
    path: Path, *, frames: int = 20, size: tuple[int, int] = (32, 32), rate: float = 10.0, step: int = 10
) -> Path:
    """A video that becomes lighter by a step from frame to frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, frame_rate=rate) as writer:
        for number in range(frames):
            writer.write(np.full((*size, 3), step * number, np.uint8))
    return path


def touched(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_share_of_each_class_is_held_out_the_same_in_any_place(tmp_path: Path) -> None:
    names = [f"{kind}/{n}.mp4" for kind in ("run", "walk") for n in range(20)]
    first, second = (read_clips(touched(tmp_path / place, *names), validation=0.25) for place in ("a", "b"))
    assert first.classes == ("run", "walk") and not len(first.test)
    assert np.bincount(first.train.label).tolist() == [15, 15] and np.bincount(first.validation.label).tolist() == [
        5,
        5,
    ]
    held_out = [{Path(p).parent.name + Path(p).name for p in one.validation.path} for one in (first, second)]
    assert held_out[0] == held_out[1]
    assert not set(first.train.path) & set(first.validation.path)


def test_folders_of_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    root = touched(
        tmp_path, "train/run/1.mp4", "train/walk/1.mp4", "train/walk/2.avi", "val/walk/3.mp4", "test/run/4.mp4"
    )
    found = read_clips(root, validation=0.5)
    assert [Path(p).name for p in found.train.path] == ["1.mp4", "1.mp4", "2.avi"]
    assert found.train.label.tolist() == [0, 1, 1]
    assert found.validation.label.tolist() == [1] and found.test.label.tolist() == [0]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "data.root: got .*; expected a folder with a folder of clips for each class"),
        (("run/1.mp4",), "with 1 folders; expected two or more"),
        (("run/1.mp4", "walk/readme.txt"), "walk' without a clip; expected files ending in .mp4"),
        (
            ("train/run/1.mp4", "train/walk/1.mp4", "val/wlak/1.mp4"),
            "wlak', a class .*did you mean 'walk'",
        ),
    ],
)
def test_folders_that_cannot_be_learned_from_are_refused(tmp_path: Path, names, message) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_clips(touched(tmp_path / "clips", *names), validation=0.2)


def test_frames_are_evenly_spaced_in_time_and_the_middle_of_a_wide_video(tmp_path: Path) -> None:
    """20 frames at 10 per second are two windows of a second; lightness tells which frame is which."""
    path = clip_file(tmp_path / "a.avi", size=(32, 64))
    found = read_frames(path, seconds=1.0, frames=5, size=(16, 16))
    assert found.shape == (10, 16, 16, 3)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 10 * (1 + 2 * np.arange(10)), atol=3)


def test_a_short_clip_stands_still_at_its_end(tmp_path: Path) -> None:
    path = clip_file(tmp_path / "a.avi", frames=5)
    found = read_frames(path, seconds=1.0, frames=5, size=(16, 16)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found, [10, 30, 40, 40, 40], atol=3)


@pytest.mark.parametrize("motion", MOTIONS)
def test_drawn_people_move_as_their_motion_says(motion: str) -> None:
    """Known: how far feet move from side to side and up and down, in body heights, of twelve people for a second."""
    across, up = [], []
    for seed in range(12):
        one = scene(motion, seed=seed)
        xyxy = one.truth.xyxy
        height = np.median(xyxy[:, 3] - xyxy[:, 1])
        seconds = (len(one.images) - 1) / FRAME_RATE
        across.append(np.ptp(xyxy[:, [0, 2]].mean(axis=1)) / height / seconds)
        up.append(np.ptp(xyxy[:, 3]) / height)
    sideways = max(across)
    assert {"walking": 0.5 < sideways < 1.25, "running": 1.6 < sideways < 2.8}.get(motion, sideways < 0.12)
    assert min(up) > 0.1 if motion == "jumping" else max(up) < (0.5 if motion == "running" else 0.25)


def test_the_same_person_does_everything_before_the_same_wall() -> None:
    """So that neither looks nor places tell the motion: the first pictures differ at the person alone."""
    first, second = (scene(motion, seed=3).images[0].astype(int) for motion in ("standing", "waving"))
    assert first.shape == second.shape
    assert (np.abs(first - second).max(axis=2) > 30).mean() < 0.05


def test_clips_are_drawn_once_and_other_folders_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    arguments = {"train": 2, "validation": 1, "test": 1, "seconds": 0.4}
    generate(root, **arguments)
    files = sorted(path for path in root.rglob("*.mp4"))
    assert len(files) == 4 * len(MOTIONS)
    written = [path.stat().st_mtime_ns for path in files]
    generate(root, **arguments)
    assert [path.stat().st_mtime_ns for path in files] == written
    found = read_clips(root, validation=0.5)
    assert found.classes == MOTIONS and (len(found.train), len(found.validation), len(found.test)) == (10, 5, 5)
    with pytest.raises(ValueError, match=r"whose clips were drawn with .*'train': 2.*; expected .*'train': 3"):
        generate(root, **{**arguments, "train": 3})
    with pytest.raises(ValueError, match="which holds other files"):
        generate(touched(tmp_path / "mine", "thesis.txt"), **arguments)
