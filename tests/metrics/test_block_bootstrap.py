"""Blocks of frames, drawn for two trackers alike."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import TrackTable, evaluate_mot
from mot_reid.metrics.block_bootstrap import paired_intervals, resample
from mot_reid.metrics.mot_rules import ScoredSequence, apply_rules


def tables(seed: int, frames: int = 60) -> tuple[TrackTable, TrackTable]:
    """Three people, and a tracker that jitters, misses and swaps."""
    rng = np.random.default_rng(seed)
    frame, person = (part.ravel() for part in np.meshgrid(np.arange(1, frames + 1), np.arange(1, 4), indexing="ij"))
    corner = np.stack([100.0 * person + frame, 10.0 * person], axis=1)
    truth = TrackTable(frame, person, np.hstack([corner, corner + np.array([40, 90])]))
    seen = rng.random(len(frame)) > 0.2
    moved = truth.xyxy + rng.normal(0, 4, (len(frame), 2))[:, [0, 1, 0, 1]]
    name = np.where((frame > 30) & (person < 3), 3 - person, person)
    return truth, TrackTable(frame, name, moved)[seen]


def scored(truth: TrackTable, result: TrackTable, frames: int = 60) -> ScoredSequence:
    return apply_rules(truth, result, benchmark="MOT15", length=frames)


@pytest.mark.parametrize("block_frames", [1, 7, 60])
def test_every_block_once_is_the_plain_score(block_frames: int) -> None:
    """The oracle is `evaluate_mot`, whose numbers are TrackEval's."""
    truth, result = tables(0)
    whole = resample(scored(truth, result), block_frames=block_frames, whole=True).scores()
    plain = evaluate_mot(truth, result, benchmark="MOT15").combined.to_dict()
    for name in ("hota", "deta", "assa", "idf1"):
        assert whole[name] == pytest.approx([plain[name]], abs=1e-12)


def test_sequences_add_up_as_in_the_combined_score() -> None:
    parts = {"a": tables(0), "b": tables(1)}
    sums = [resample(scored(*pair), whole=True) for pair in parts.values()]
    plain = evaluate_mot({n: p[0] for n, p in parts.items()}, {n: p[1] for n, p in parts.items()}, benchmark="MOT15")
    together = (sums[0] + sums[1]).scores()
    for name in ("hota", "deta", "assa", "idf1"):
        assert together[name] == pytest.approx([plain.combined.to_dict()[name]], abs=1e-12)


def test_a_tracker_does_not_differ_from_itself() -> None:
    pair = {"a": resample(scored(*tables(0)))}
    assert set(paired_intervals(pair, pair).values()) == {(0.0, 0.0)}


def test_what_is_better_in_every_block_is_surely_better() -> None:
    truth, result = tables(0)
    before, after = resample(scored(truth, result)), resample(scored(truth, truth))
    low, high = paired_intervals({"a": before}, {"a": after})["hota"]
    assert 0 < low < high
    assert np.allclose(after.scores()["hota"], 1)


def test_seed_chooses_the_draws() -> None:
    sequence = scored(*tables(0))
    first, same, other = (resample(sequence, block_frames=5, seed=seed).scores()["hota"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_nothing_found_is_zero() -> None:
    truth, _ = tables(0)
    assert resample(scored(truth, TrackTable.empty())).scores()["hota"].tolist() == [0.0] * 300


def test_what_does_not_belong_together_is_refused() -> None:
    part = resample(scored(*tables(0)))
    with pytest.raises(ValueError, match="expected \\['a'\\], as before"):
        paired_intervals({"a": part}, {"b": part})
    with pytest.raises(ValueError, match="block_frames: got 0; expected at least 1"):
        resample(scored(*tables(0)), block_frames=0)
