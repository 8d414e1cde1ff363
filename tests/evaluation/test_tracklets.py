"""Tracklets of a ground truth, and their score from pictures of people in plain colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.cli.evaluate import main
from mot_reid.data.motchallenge import Sequence, write_ground_truth, write_sequence
from mot_reid.evaluation.tracklets import cut_tracklets
from mot_reid.structures import TrackTable

COLORS = {1: (220, 30, 30), 2: (30, 60, 220)}


def truth(frames: dict[int, list[int]]) -> TrackTable:
    """Person i stands 40 pixels further right than person i - 1, in the frames given."""
    rows = [(frame, person) for person, seen in frames.items() for frame in seen]
    frame, person = np.array(rows).T
    left = 40.0 * (person - 1) + 4
    xyxy = np.stack([left, np.full(len(left), 4.0), left + 32, np.full(len(left), 68.0)], axis=1)
    return TrackTable(frame=frame, track_id=person, xyxy=xyxy, class_id=np.ones_like(person))


def test_tracklets_are_pieces_of_time_with_enough_boxes() -> None:
    table = truth({1: [*range(15, 30), 31, 33], 2: [30, 33, 36, 39, 42]})
    found = cut_tracklets(table, length=15)
    assert found.person_id.tolist() == [1, 2]  # of person 1 in frames 30 to 44 there are two boxes only
    assert found.first_frame.tolist() == [15, 30] and found.last_frame.tolist() == [29, 42]
    assert table.frame[found.row].tolist() == [[15, 22, 29], [30, 36, 42]]


def test_ignored_boxes_are_no_tracklet() -> None:
    table = truth({1: list(range(1, 15)), 2: list(range(1, 15))})
    ignore = table.track_id == 2
    assert cut_tracklets(table.replace(ignore=ignore), length=15).person_id.tolist() == [1]


@pytest.fixture
def filmed(tmp_path: Path) -> Path:
    """Two people of plain colours, seen in frames 1 to 14 and 60 to 74, filmed at half the size of the ground truth."""
    sequence = Sequence(tmp_path / "street", "street", "img1", 10, 74, 84, 72, ".png")
    table = truth({1: [*range(1, 15), *range(60, 75)], 2: [*range(1, 15), *range(60, 75)]})
    sequence.folder.mkdir()
    write_sequence(sequence)
    write_ground_truth(sequence.ground_truth_path, table)
    (tmp_path / "street" / "img1").mkdir()
    for number in range(1, 75):
        picture = np.full((36, 42, 3), 127, dtype=np.uint8)
        for row in table[table.frame == number].xyxy.astype(int) // 2:
            picture[row[1] : row[3], row[0] : row[2]] = COLORS[1 if row[0] < 20 else 2]
        Image.fromarray(picture).save(tmp_path / "street" / "img1" / f"{number:06d}.png")
    return tmp_path / "street"


def test_command_scores_each_model_on_the_tracklets(
    filmed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "scores.json"
    arguments = [f"reassociation.ground_truth={filmed}", f"json={written}", "bootstrap=10", "device=cpu"]
    assert main(["checkpoint=[osnet_x0_25_market1501,person_small]", *arguments]) == 0
    first, second = json.loads(written.read_text())["reassociation"]
    assert (first["model"], second["model"]) == ("osnet_x0_25_market1501", "person_small")
    assert {key: first[key] for key in ("sequence", "queries", "persons", "tracklets", "rank1", "chance")} == {
        "sequence": "street", "queries": 2, "persons": 2, "tracklets": 4, "rank1": 1.0, "chance": 0.5,
    }  # fmt: skip
    assert "street: 2 of 4 tracklets ask for 2 persons 30 frames later or more; guessing gives 50.0%" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reassociation.video=a.mp4"], "reassociation.video: got it without reassociation.ground_truth=DIR"),
        (
            ["reassociation.ground_truth={root}", "data.root=a"],
            "data.root: does not go with reassociation.ground_truth",
        ),
        (["reassociation.ground_truth={root}", "reassociation.apart=70"], "none of a person who comes again 70 frames"),
        (["reassociation.ground_truth={root}/gt"], "seqinfo.ini"),
        (["reassociation.ground_truth={root}", "reassociation.video={root}/few"], "got no frame 7 in "),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, filmed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (filmed / "few").mkdir()
    for number in range(1, 7):
        (filmed / "few" / f"{number}.png").write_bytes((filmed / "img1" / f"{number:06d}.png").read_bytes())
    assert main(["checkpoint=person_small", "device=cpu", *(word.format(root=filmed) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.strip().count("\n") == 0
