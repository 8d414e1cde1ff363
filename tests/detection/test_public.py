"""Detections of a file as a detector."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from mot_reid.detection.public import PublicDetector
from mot_reid.pipeline.track import track
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.tracker import Tracker

ROWS = "3,-1,10,20,5,6,0.5\n1,-1,1,2,3,4,0.9\n3,-1,30,40,5,6,0.2\n"


@pytest.fixture
def det(tmp_path: Path) -> Path:
    path = tmp_path / "det.txt"
    path.write_text(ROWS)
    return path


def test_frame_has_its_rows_of_an_unsorted_file(det: Path) -> None:
    detector = PublicDetector(det)
    assert detector.at(1).xyxy.tolist() == [[1, 2, 4, 6]]
    assert detector.at(3).xyxy.tolist() == [[10, 20, 15, 26], [30, 40, 35, 46]]
    assert detector.at(3).score.tolist() == [0.5, 0.2]


@pytest.mark.parametrize("number", [2, 99])
def test_frame_without_rows_has_no_detections(det: Path, number: int) -> None:
    assert len(PublicDetector(det).at(number)) == 0


def test_floor_drops_unsure_boxes(det: Path) -> None:
    assert PublicDetector(det, min_score=0.5).at(3).score.tolist() == [0.5]


def test_table_and_frames_are_taken_as_well() -> None:
    table = TrackTable(np.array([2]), np.array([0]), np.array([[0.0, 0, 1, 1]]), np.array([0.4]))
    frames = [Detections.empty(), Detections(np.array([[0.0, 0, 1, 1]]), np.array([0.4]))]
    for detector in (PublicDetector(table), PublicDetector(frames)):
        assert [len(detector.at(number)) for number in (1, 2, 3)] == [0, 1, 0]


def test_scores_of_another_scale_are_refused_with_their_frame(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,2,3,4,0.9\n7,-1,1,2,3,4,35.5\n")
    with pytest.raises(ValueError, match=r"det\.txt': got score 35\.5 in frame 7; expected 0 to 1"):
        PublicDetector(tmp_path / "det.txt")


def test_malformed_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,1,2,3,4,0.9\n2,-1,1,2,nan,4,0.9\n")
    with pytest.raises(ValueError, match="line 2: width: got nan"):
        PublicDetector(tmp_path / "det.txt")


def test_table_that_track_wrote_serves_as_detections(tmp_path: Path) -> None:
    table = TrackTable([2, 2], [4, 7], [[0.125, 1, 10, 21], [1, 2, 3, 4]], [0.5, 1])
    found = PublicDetector(table.save(tmp_path / "a.csv")).at(2)
    assert found.xyxy.tolist() == [[0.125, 1, 10, 21], [1, 2, 3, 4]] and found.score.tolist() == [0.5, 1]


# ---- scale ---------------------------------------------------------------------------------------------------------


def across(width: float, height: float) -> TrackTable:
    """200 boxes of 40 x 80 from the upper left corner of an image to its lower right one."""
    corner = np.linspace([0, 0], [width - 40, height - 80], 200)
    boxes = np.concatenate((corner, corner + np.array([40, 80])), axis=1)
    return TrackTable(np.arange(1, 201), np.zeros(200, np.int64), boxes)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (across(1920, 1080), "got 72 of 200 boxes outside of the image, which reach to 1901, 1070, as in images at "),
        (across(1920, 1080), r"at least 1.6 times as large; expected pixels of images of 1200 x 675; scale the boxes"),
        (
            across(1920, 1080).replace(xyxy=across(1920, 1080).xyxy / [1920, 1080, 1920, 1080]),
            "detections: got fractions of an image, up to 1; expected pixels of images of 1200 x 675; multiply",
        ),
    ],
)
def test_boxes_of_larger_images_and_fractions_are_refused_at_the_start(table: TrackTable, message: str) -> None:
    """Of the table as a whole: in its first frames, all boxes lie inside."""
    frames = [np.zeros((675, 1200, 3), np.uint8)] * 2
    with pytest.raises(ValueError, match=message):
        list(track(frames, PublicDetector(table), Tracker("sort")))


def test_boxes_of_smaller_images_are_told_once() -> None:
    detector = PublicDetector(across(1200, 675))
    with pytest.warns(
        UserWarning, match=r"200 boxes that all end at 1200, 675, as in images that are 1.6 times smaller"
    ):
        detector.check_size(1920, 1080)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.check_size(1920, 1080)
        PublicDetector(across(1900, 700)).check_size(1920, 1080)  # nobody in the foreground
        PublicDetector(across(1920, 1080)).check_size(1920, 1080)
        PublicDetector(across(1200, 675)[:50]).check_size(1920, 1080)
