"""Tuning a tracker's knobs without tuning on what is reported."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mot_reid.data.motchallenge import Sequence, write_detections, write_ground_truth, write_sequence
from mot_reid.structures import TrackTable
from mot_reid.tracking.presets import PRESETS
from mot_reid.tracking.tracker import Tracker

pytest.importorskip("optuna")
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b", "c")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load("tune_tracker")


def people(seed: int) -> TrackTable:
    """Three people who stand apart for 12 frames; their boxes jitter."""
    rng = np.random.default_rng(seed)
    frame, person = (column.ravel() for column in np.meshgrid(np.arange(1, 13), [1, 2, 3], indexing="ij"))
    low = np.stack([60.0 * person, np.full(len(person), 10.0)], axis=1) + rng.normal(0, 0.5, (len(person), 2))
    return TrackTable(
        frame, person, np.concatenate([low, low + np.array([20, 40])], axis=1), class_id=np.ones(len(frame))
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Sequences whose detections are perfect and have a score of 0.55: too low for ByteTrack's default."""
    for seed, name in enumerate(NAMES):
        sequence = Sequence(tmp_path / "truth" / name, name, "img1", 30, 12, 300, 80, ".png")
        sequence.folder.mkdir(parents=True)
        write_sequence(sequence)
        truth = people(seed)
        write_ground_truth(sequence.ground_truth_path, truth)
        write_detections(sequence.detections_path, truth.replace(score=np.full(len(truth), 0.55)))
    return tmp_path / "truth"


def bench(root: Path, preset: str = "bytetrack", **arguments: str):
    return tool.read_bench({"ground_truth": str(root), "benchmark": "MOT15"} | arguments, preset)


def test_a_sequence_plays_no_part_in_the_search_for_its_own_knobs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[set[str]] = []
    search = tool.search

    def watched(asked, names, *rest, **options):
        asked.tried.clear()
        found = search(asked, names, *rest, **options)
        looked.append({name for name, _ in asked.tried})
        return found

    monkeypatch.setattr(tool, "search", watched)
    tool.hold_out(bench(root), ["high"], objective="hota", trials=2, seed=0)
    assert looked == [{"b", "c"}, {"a", "c"}, {"a", "b"}]


def test_tuning_finds_a_high_band_that_holds_the_boxes(root: Path, tmp_path: Path) -> None:
    """Fails when: the objective is minimised, knobs do not reach the tracker, or the default is reported as tuned."""
    file = tmp_path / "out" / "tuned.json"
    done = tool.main([f"ground_truth={root}", "benchmark=MOT15", "knobs=high", "trials=4", "seed=1", f"json={file}"])
    assert done == 0
    content = json.loads(file.read_text())
    assert content["default"]["hota"] == 0
    assert content["held_out"]["hota"] > 0.9
    assert content["knobs"]["high"] < 0.45
    assert {name: part["knobs"]["high"] < 0.45 for name, part in content["sequences"].items()} == dict.fromkeys(
        NAMES, True
    )


def test_scores_with_knobs_are_those_of_the_tracker(root: Path) -> None:
    from mot_reid.metrics.mot import evaluate_mot

    found = bench(root)
    tracker = Tracker("bytetrack", high=0.4)
    table = TrackTable.from_frames(tracker.update(boxes) for boxes in found.frames["a"])
    expected = evaluate_mot(found.truths["a"], table, benchmark="MOT15").combined.to_dict()
    assert found.score("a", {"high": 0.4}).to_dict() == expected


def test_the_preset_stays_where_nothing_is_better(root: Path) -> None:
    perfect = bench(root)
    perfect.frames = {
        name: [found.replace(score=np.full(len(found), 0.9)) for found in frames]
        for name, frames in perfect.frames.items()
    }
    assert tool.search(perfect, NAMES, ["low"], objective="hota", trials=3, seed=0) == {}


def test_a_seed_gives_the_same_knobs(root: Path) -> None:
    options = {"objective": "idf1", "trials": 12, "seed": 3}
    knobs = tool.PRESET_KNOBS["bytetrack"]
    first, second = (tool.search(bench(root), NAMES, knobs, **options) for _ in range(2))
    assert first == second and set(first) == set(knobs)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("end", [0, 1])
def test_every_preset_takes_its_knobs_at_both_ends_of_their_ranges(preset: str, end: int) -> None:
    Tracker(preset, **{knob: tool.SPACE[knob][end] for knob in tool.PRESET_KNOBS[preset]})


def test_embeddings_follow_their_lines(root: Path, tmp_path: Path) -> None:
    """Lines of det.txt need not be sorted by frame: row i belongs to line i."""
    for name in NAMES:
        table = people(0)
        order = np.random.default_rng(1).permutation(len(table))
        write_detections(root / name / "det" / "det.txt", table[order].replace(score=np.full(len(table), 0.8)))
        person = table.track_id[order]
        (tmp_path / "cache").mkdir(exist_ok=True)
        np.save(tmp_path / "cache" / f"{name}.npy", np.eye(4, dtype=np.float32)[person])
    found = bench(root, "bytetrack_reid", embeddings=str(tmp_path / "cache"))
    for boxes in found.frames["a"]:
        assert boxes.embedding is not None
        assert np.argmax(boxes.embedding, axis=1).tolist() == np.rint(boxes.xyxy[:, 0] / 60).astype(int).tolist()


def test_table_shows_default_and_tuned(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([f"ground_truth={root}", "benchmark=MOT15", "knobs=low", "trials=1", "sequences=a,b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["held", "a", "b", "combined"]
    assert "0.00 > 0.00" in lines[3]
    assert lines[-1] == "knobs tuned on all sequences: those of the preset: nothing was better"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["preset=bytetrak"], "preset: got 'bytetrak'; expected one of .*; did you mean 'bytetrack'?"),
        (["knobs=high,gate"], "knobs: got 'gate'; expected one of high"),
        (["objective=mt"], "objective: got 'mt'; expected one of hota"),
        (["trials=0"], "trials: got '0'; expected a whole number from 1"),
        (["sequences=a"], "got the one sequence a; expected two or more"),
        (["detections=det/gone.txt"], "det/gone.txt': no such file"),
        (["benchmark=MOT1"], "benchmark: got 'MOT1'; expected one of MOT15"),
        (["embeddings=gone"], "embeddings: got no 'gone/a.npy'; expected it, or reid=PATH"),
        (["reid=x"], "reid: got it without embeddings=DIR"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    root: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert tool.main([f"ground_truth={root}", *extra]) == 2
    told = capsys.readouterr()
    assert message.split(".*")[0] in told.err and told.err.count("\n") == 1
