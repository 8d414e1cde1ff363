"""Sequences on disk that a tracker's parameters decide about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mot_reid.data.motchallenge import Sequence, write_detections, write_ground_truth, write_sequence
from mot_reid.structures import TrackTable

NAMES = ("a", "b", "c")


def people(seed: int) -> TrackTable:
    """Three people who stand apart for 12 frames; their boxes jitter."""
    rng = np.random.default_rng(seed)
    frame, person = (column.ravel() for column in np.meshgrid(np.arange(1, 13), [1, 2, 3], indexing="ij"))
    low = np.stack([60.0 * person, np.full(len(person), 10.0)], axis=1) + rng.normal(0, 0.5, (len(person), 2))
    return TrackTable(
        frame, person, np.concatenate([low, low + np.array([20, 40])], axis=1), class_id=np.ones(len(frame))
    )


def write_sequences(root: Path) -> Path:
    """Sequences whose detections are perfect and have a score of 0.55, too low for ByteTrack's default; `root`."""
    for seed, name in enumerate(NAMES):
        sequence = Sequence(root / name, name, "img1", 30, 12, 300, 80, ".png")
        sequence.folder.mkdir(parents=True)
        write_sequence(sequence)
        truth = people(seed)
        write_ground_truth(sequence.ground_truth_path, truth)
        write_detections(sequence.detections_path, truth.replace(score=np.full(len(truth), 0.55)))
    return root
