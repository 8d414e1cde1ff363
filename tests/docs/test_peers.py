"""Trackers of other programs on our boxes: ours and theirs in one table."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from docs.peers import run
from mot_reid.evaluation.comparison_data import read_videos
from mot_reid.structures import Detections
from tests.helpers.sequences import NAMES, write_sequences


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sequences of 12 frames with three people, and their images."""
    root = write_sequences(tmp_path / "truth")
    (root / "a" / "img1").mkdir()
    for number in range(1, 13):
        Image.new("RGB", (300, 80)).save(root / "a" / "img1" / f"{number:06d}.png")
    return root


def by_place(name: str, frame_rate: float, *, looks: bool) -> run.Step:
    """A perfect program for people who stand 60 pixels apart."""
    return lambda found, image: np.column_stack([found.xyxy, np.rint(found.xyxy[:, 0] / 60)])


def test_what_a_program_answers_stands_in_the_table(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boxes and identities are those of the truth, so that HOTA is 1; the time is the one that was measured."""
    monkeypatch.setitem(run.PROGRAMS, "perfect", by_place)
    words = [f"ground_truth={root}", "sequences=a", "trackers=sort", "bootstrap=20", f"output={tmp_path / 'out'}"]
    assert run.main(["perfect:one"], words) == 0
    folder = tmp_path / "out" / "peers" / "det" / "perfect_one"
    rows = json.loads((tmp_path / "out" / "compare.json").read_text())["rows"]
    row = next(row for row in rows if row["tracker"] == "perfect_one")
    assert row["combined"]["hota"] == pytest.approx(1, abs=1e-3)
    assert row["milliseconds"] == json.loads((folder / "milliseconds.json").read_text())["a"] > 0
    pace = json.loads((tmp_path / "out" / "pace.json").read_text())
    (before, after) = pace.pop("sort · det")
    assert before != after and after == next(row for row in rows if row["tracker"] == "sort")["milliseconds"]
    assert pace == {}


def test_what_is_finished_is_not_tracked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program breaks off on the third of three videos, with 24 frames behind it; then it owes the last 12 alone."""
    root, seen = write_sequences(tmp_path / "truth"), 0
    for name in NAMES:
        (root / name / "img1").mkdir()
        Image.new("RGB", (300, 80)).save(root / name / "img1" / "000001.png")

    def counted(name: str, frame_rate: float, *, looks: bool) -> run.Step:
        def step(found: Detections, image: Any) -> Any:
            nonlocal seen
            if seen == stop:
                raise KeyboardInterrupt
            seen += 1
            return by_place(name, frame_rate, looks=looks)(found, image)

        return step

    monkeypatch.setitem(run.PROGRAMS, "counted", counted)
    words = [f"ground_truth={root}", "trackers=sort", "bootstrap=20", f"output={tmp_path / 'out'}"]
    stop = 30
    with pytest.raises(KeyboardInterrupt):
        run.main(["counted:one"], words)
    times = tmp_path / "out" / "peers" / "det" / "counted_one" / "milliseconds.json"
    first = json.loads(times.read_text())
    assert set(first) == {"a", "b"}
    seen, stop = 0, -1
    assert run.main(["counted:one"], words) == 0
    assert seen == 12
    assert {name: json.loads(times.read_text())[name] for name in first} == first
    boxes = root / "b" / "det" / "det.txt"
    boxes.write_text("".join(boxes.read_text().splitlines(keepends=True)[1:]))
    seen = 0
    assert run.main(["counted:one"], words) == 0
    assert seen == 12  # one box is missing in one video, which alone is done anew


def test_pictures_are_read_only_where_a_program_needs_them(root: Path) -> None:
    """Twelve frames, in the size of the boxes; without need the first one goes on for ever."""
    video = read_videos(root, ["a"], detectors=["det/det.txt"], frames=None)[0]
    assert [image.shape for image in run.pictures(video, needed=True)] == 12 * [(80, 300, 3)]
    same = list(islice(run.pictures(video, needed=False), 20))
    assert len(same) == 20 and all(image is same[0] for image in same)


@pytest.mark.parametrize(
    ("program", "name", "modules"),
    [
        ("ultralytics", "bytetrack", ("ultralytics", "lap")),
        ("trackers", "ByteTrack", ("trackers",)),
        ("boxmot", "bytetrack", ("boxmot", "lap")),
    ],
)
def test_each_program_keeps_three_people_apart(program: str, name: str, modules: tuple[str, ...]) -> None:
    """People who stand still, 60 pixels apart, for 30 frames."""
    for module in modules:
        pytest.importorskip(module, reason=f"{module} is not installed")
    step: Any = run.PROGRAMS[program](name, 30, looks=False)
    low = np.array([[60.0, 10], [120, 10], [180, 10]])
    found = Detections(np.concatenate([low, low + np.array([20, 40])], axis=1), np.full(3, 0.9), np.zeros(3, int))
    rows = [step(found, np.zeros((80, 300, 3), np.uint8)) for _ in range(30)]
    assert {len(row) for row in rows[5:]} == {3}
    identity = np.array([row[np.argsort(row[:, 0]), 4] for row in rows[5:]])
    assert (identity == identity[0]).all()
    assert len(set(identity[0])) == 3
    assert np.sort(rows[-1][:, 0]) == pytest.approx(low[:, 0], abs=1)


def test_ultralytics_is_given_the_embeddings() -> None:
    """Two people who overlap change places at once: motion keeps the places' identities, looks those of the people."""
    for module in ("ultralytics", "lap"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    low = np.array([[60.0, 10], [64, 10]])
    xyxy, looks = np.concatenate([low, low + np.array([20, 40])], axis=1), np.eye(2, 8, dtype=np.float32)
    for given in (False, True):
        step: Any = run.ultralytics("botsort", 30, looks=given)
        frames = [
            Detections(xyxy, np.full(2, 0.9), np.zeros(2, int), embedding=e) for e in 10 * [looks] + [looks[::-1]]
        ]
        rows = [step(found, np.zeros((80, 300, 3), np.uint8)) for found in frames]
        before, after = (row[np.argsort(row[:, 0]), 4].tolist() for row in rows[-2:])
        assert after == (before[::-1] if given else before)
