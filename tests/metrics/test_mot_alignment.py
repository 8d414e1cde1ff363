"""Results of other pixels and of other frames are told, not scored low."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mot_reid.data.motchallenge import read_ground_truth, read_sequence
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.metrics.mot_alignment import missing_frames
from mot_reid.structures import TrackTable

LENGTH = 100


def crowd(frames: int = LENGTH, people: int = 8, *, seed: int = 0) -> TrackTable:
    """People of several sizes who walk through an image of 1920 x 1080."""
    random = np.random.default_rng(seed)
    height = random.uniform(80, 250, people)
    start, speed = random.uniform(100, [1500, 700], (people, 2)), random.uniform(-2, 2, (people, 2))
    number = np.repeat(np.arange(1, frames + 1), people)
    corner = (start + speed * np.arange(frames)[:, None, None]).reshape(-1, 2)
    size = np.tile(np.stack([0.4 * height, height], axis=1), (frames, 1))
    return TrackTable(
        number, np.tile(np.arange(1, people + 1), frames), np.concatenate((corner, corner + size), axis=1)
    )


def jittered(table: TrackTable) -> TrackTable:
    """What a detector makes of it: some boxes are missing, all are a bit off."""
    random = np.random.default_rng(1)
    off = random.normal(0, 4, table.xyxy.shape)
    return table.replace(xyxy=table.xyxy + off)[random.random(len(table)) < 0.8]


def as_corners(xyxy: np.ndarray) -> np.ndarray:
    """Corners that were written where width and height belong."""
    return np.concatenate((xyxy[:, :2], xyxy[:, :2] + np.maximum(xyxy[:, 2:], 0)), axis=1)


def as_centres(xyxy: np.ndarray) -> np.ndarray:
    """Centres that were written where left and top belong."""
    return xyxy + np.tile((xyxy[:, 2:] - xyxy[:, :2]) / 2, 2)


CHANGES: list[tuple[Callable[[np.ndarray], np.ndarray], str]] = [
    (lambda xyxy: xyxy / 1.6, r"multiplied by 1\.[56]\d?; expected pixels of the same image size"),
    (lambda xyxy: xyxy * 3, r"multiplied by 0\.33\d?;"),
    (lambda xyxy: xyxy / [2, 1.5, 2, 1.5], r"multiplied by (2|2\.0\d|1\.9\d) across and by 1\.(5|4\d|5\d) down;"),
    (lambda xyxy: xyxy / [1920, 1080, 1920, 1080], r"multiplied by 1,9\d\d across and by 1,0\d\d down;"),
    (as_corners, "two corners, x1, y1, x2, y2; expected left, top, width, height; write x2 - x1 and y2 - y1"),
    (as_centres, "begin with their centres; .* subtract half of the width and half of the height"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_boxes_that_fit_after_a_usual_change_are_refused_with_it(change, message: str) -> None:
    """Fails when: factors come from sizes alone, both directions share one, or the first idea wins over the best."""
    result = jittered(crowd())
    with pytest.raises(ValueError, match=rf"^a: boxes: got \d+% of the people covered, and [78]\d% if .*{message}"):
        evaluate_mot({"a": crowd()}, {"a": result.replace(xyxy=change(result.xyxy))}, benchmark="MOT15")


@pytest.mark.parametrize("result", [jittered(crowd()), jittered(crowd(seed=5)), crowd()[:0]])
def test_result_that_no_change_explains_is_scored_without_a_word(result: TrackTable) -> None:
    """A good one, one of other people, and none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_mot(crowd(), result, benchmark="MOT15")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (lambda frame: frame <= 75, r"no box in 25 of 100 frames with people \(76 to 100\)"),
        (lambda frame: frame > 25, r"no box in 25 of 100 frames with people \(1 to 25\)"),
        (lambda frame: frame % 2 == 1, r"no box in 50 of 100 frames with people \(2, 4, 6, \.\.\.\)"),
    ],
)
def test_missing_frames_are_counted_and_named(kept, message: str) -> None:
    table = crowd()
    with pytest.warns(UserWarning, match=rf"^sequence: the result has {message}; all of them count as missed"):
        evaluate_mot(table, table[kept(table.frame)], benchmark="MOT15")


def test_frames_that_the_ground_truth_leaves_out_are_counted_and_named() -> None:
    """As of a result for a whole sequence of which one half is held out."""
    table = crowd()
    with pytest.warns(UserWarning, match=r"boxes in 50 frames without people .* \(51 to 100\), which has people in 50"):
        evaluate_mot(table[table.frame <= 50], table, benchmark="MOT15")


def test_few_missing_frames_and_people_out_of_sight_are_nothing_to_say() -> None:
    """9 of 100 at the end; and 33 of 100 without anybody, never two in a row."""
    table = crowd()
    assert missing_frames(table, table[table.frame <= 91]) is None
    assert missing_frames(table[table.frame % 3 > 0], table) is None


@pytest.mark.data
def test_real_sequence_shows_the_factor_and_the_missing_frames(real_data: Path) -> None:
    """PETS09-S2L1 at 1.6 times the size, and cut after 595 of its 795 frames."""
    truth = read_ground_truth(read_sequence(real_data / "MOT15" / "train" / "PETS09-S2L1").ground_truth_path)
    with pytest.raises(ValueError, match=r"got [01]% of the people covered, and 100% if .* multiplied by 1\.6;"):
        evaluate_mot(truth, truth.replace(xyxy=truth.xyxy / 1.6), benchmark="MOT15")
    with pytest.warns(UserWarning, match=r"no box in 200 of 795 frames with people \(596 to 795\)"):
        evaluate_mot(truth, truth[truth.frame <= 595], benchmark="MOT15")
