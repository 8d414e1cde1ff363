"""Tuning a tracker's parameters without tuning on what is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mot_reid.data.motchallenge import write_detections
from mot_reid.evaluation import tuning
from mot_reid.evaluation.tuning_data import read_bench
from mot_reid.metrics.mot import evaluate_mot
from mot_reid.structures import TrackTable
from mot_reid.tracking.presets import PRESETS
from mot_reid.tracking.tracker import Tracker
from tests.helpers.sequences import NAMES, people, write_sequences

pytest.importorskip("optuna")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_sequences(tmp_path / "truth")


def test_a_sequence_plays_no_part_in_the_search_for_its_own_parameters(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[set[str]] = []
    search = tuning.search

    def watched(asked, names, *rest, **options):
        asked.tried.clear()
        found = search(asked, names, *rest, **options)
        looked.append({name for name, _ in asked.tried})
        return found

    monkeypatch.setattr(tuning, "search", watched)
    tuning.hold_out(read_bench(root, "bytetrack", benchmark="MOT15"), ["high"], objective="hota", trials=2, seed=0)
    assert looked == [{"b", "c"}, {"a", "c"}, {"a", "b"}]


def test_scores_with_parameters_are_those_of_the_tracker(root: Path) -> None:
    found = read_bench(root, "bytetrack", benchmark="MOT15")
    tracker = Tracker("bytetrack", high=0.4)
    table = TrackTable.from_frames(tracker.update(boxes) for boxes in found.frames["a"])
    expected = evaluate_mot(found.truths["a"], table, benchmark="MOT15").combined.to_dict()
    assert found.score("a", {"high": 0.4}).to_dict() == expected


def test_the_preset_stays_where_nothing_is_better(root: Path) -> None:
    perfect = read_bench(root, "bytetrack", benchmark="MOT15")
    perfect.frames = {
        name: [found.replace(score=np.full(len(found), 0.9)) for found in frames]
        for name, frames in perfect.frames.items()
    }
    assert tuning.search(perfect, NAMES, ["low"], objective="hota", trials=3, seed=0) == {}


def test_a_seed_gives_the_same_parameters(root: Path) -> None:
    options = {"objective": "idf1", "trials": 12, "seed": 3}
    parameters = tuning.SEARCHED["bytetrack"]
    first, second = (
        tuning.search(read_bench(root, "bytetrack", benchmark="MOT15"), NAMES, parameters, **options) for _ in range(2)
    )
    assert first == second and set(first) == set(parameters)


@pytest.mark.parametrize("preset", sorted(PRESETS))
@pytest.mark.parametrize("end", [0, 1])
def test_every_preset_takes_its_parameters_at_both_ends_of_their_ranges(preset: str, end: int) -> None:
    Tracker(preset, **{parameter: tuning.search_range(parameter)[end] for parameter in tuning.SEARCHED[preset]})


def test_embeddings_follow_their_lines(root: Path, tmp_path: Path) -> None:
    """Lines of det.txt need not be sorted by frame: row i belongs to line i."""
    for name in NAMES:
        table = people(0)
        order = np.random.default_rng(1).permutation(len(table))
        write_detections(root / name / "det" / "det.txt", table[order].replace(score=np.full(len(table), 0.8)))
        person = table.track_id[order]
        (tmp_path / "cache").mkdir(exist_ok=True)
        np.save(tmp_path / "cache" / f"{name}.npy", np.eye(4, dtype=np.float32)[person])
    found = read_bench(root, "bytetrack_reid", benchmark="MOT15", embeddings=tmp_path / "cache")
    for boxes in found.frames["a"]:
        assert boxes.embedding is not None
        assert np.argmax(boxes.embedding, axis=1).tolist() == np.rint(boxes.xyxy[:, 0] / 60).astype(int).tolist()
