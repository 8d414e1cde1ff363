"""The command line of tools/prepare_mot17.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.cli.prepare_mot17 import main
from mot_reid.data import market1501
from mot_reid.data.motchallenge import Sequence, write_detections, write_ground_truth, write_sequence
from mot_reid.structures import TrackTable
from tests.helpers.calls import Call, caller


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs the command in this process: exit code, standard output, standard error."""
    return caller(main, capsys)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two sequences of 60 frames at 10 frames per second; two persons early, two late."""
    lives = {1: (1, 30), 2: (1, 60), 3: (45, 60), 4: (46, 60)}
    rows = np.array([(frame, person) for person, (start, end) in lives.items() for frame in range(start, end + 1)])
    x = 20.0 * rows[:, 1]
    xyxy = np.stack([x - 8, np.full(len(x), 4.0), x + 8, np.full(len(x), 60.0)], axis=1)
    truth = TrackTable(frame=rows[:, 0], track_id=rows[:, 1], xyxy=xyxy, class_id=np.ones(len(x), dtype=np.int64))
    for name in ("a", "b"):
        sequence = Sequence(tmp_path / "own" / name, name, "img1", 10, 60, 128, 64, ".jpg")
        (sequence.folder / "img1").mkdir(parents=True)
        write_sequence(sequence)
        write_ground_truth(sequence.ground_truth_path, truth)
        write_detections(sequence.detections_path, truth)
        Image.new("RGB", (128, 64)).save(sequence.frame_path(1))
        for number in range(2, 61):
            sequence.frame_path(number).symlink_to(sequence.frame_path(1))
    return tmp_path / "own"


def test_tool_prepares_then_verifies(run: Call, source: Path, tmp_path: Path) -> None:
    arguments = (f"source={source}", f"--output={tmp_path / 'out'}", "official_counts=false")
    (code, first, complaint), (again, second, _) = run(*arguments), run(*arguments)
    assert code == again == 0, complaint
    assert "train  together             60 frames      121 boxes" in first
    assert "verified, nothing to do" in second


def test_tool_cuts_crops(run: Call, source: Path, tmp_path: Path) -> None:
    code, _, said = run(
        f"source={source}", f"output={tmp_path / 'out'}", "crops=true", "per_second=5", "gap_seconds=0.5"
    )
    assert code == 0, said
    train, query, _ = market1501.read(tmp_path / "out", official_counts=False)
    assert len(set(train.person_id.tolist())) == 4 and len(set(query.person_id.tolist())) == 4


def test_tool_exits_one_and_names_the_bad_frame(run: Call, source: Path, tmp_path: Path) -> None:
    (source / "b" / "img1" / "000007.jpg").unlink()
    code, _, said = run(f"source={source}", f"output={tmp_path / 'out'}", "official_counts=false")
    assert code == 1
    assert "got 1 bad file(s)" in said and "b/img1/000007.jpg" in said
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["source=.", "output=x", "spilt=half"], "no key 'spilt'; did you mean 'split'?"),
        (["source=."], "output is missing; add output=VALUE (folder to make"),
        (["source=/nowhere", "output=x"], "source: got '/nowhere'; expected an existing archive or folder"),
        (["source=.", "output=x", "split=third"], "split: got 'third'; expected one of sequences, half"),
        (["source=.", "output=x", "classes=1,x"], "classes: got [1, 'x']; expected a list of ints"),
        (["source=.", "output=x", "crops=maybe"], "crops: got 'maybe'; expected true or false"),
        (["source=.", "output=x", "video=y"], "video: cannot be used with crops=false"),
        (["source=.", "output=x", "crops=true", "split=half"], "split: cannot be used with crops=true"),
        (
            ["source=.", "output=x", "crops=true", "train_share=2"],
            "train_share: got 2.0; expected a number of",
        ),
    ],
)
def test_tool_exits_two_for_wrong_arguments(run: Call, arguments: list[str], message: str) -> None:
    code, _, said = run(*arguments)
    assert code == 2
    assert message in said and said.count("\n") == 1
