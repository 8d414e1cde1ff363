"""How sure is a difference between two trackers on one video? The same blocks of frames drawn for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import FloatArray
from mot_reid.metrics.bootstrap import Interval, draw_counts, percentile_intervals
from mot_reid.metrics.hota import ALPHAS, match_hota
from mot_reid.metrics.mot_rules import EPSILON, IOU_THRESHOLD, ScoredSequence


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Sums of the scores for S draws of blocks, which add up over sequences.

    Attributes:
        tp: (S, 19) boxes matched at each threshold of HOTA.
        truth: (S,) boxes of the ground truth.
        result: (S,) boxes of the result.
        assa_sum: (S, 19) as in `Hota`.
        idtp: (S,) boxes under the right identity.
    """

    tp: FloatArray
    truth: FloatArray
    result: FloatArray
    assa_sum: FloatArray
    idtp: FloatArray

    def __add__(self, other: Resampled) -> Resampled:
        """Returns the sums of both: of the sequences together."""
        return Resampled(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def scores(self) -> dict[str, FloatArray]:
        """Returns (S,) values of hota, deta, assa and idf1."""
        deta = self.tp / np.maximum(1, self.truth[:, None] + self.result[:, None] - self.tp)
        assa = self.assa_sum / np.maximum(1, self.tp)
        return {
            "hota": np.sqrt(deta * assa).mean(axis=1),
            "deta": deta.mean(axis=1),
            "assa": assa.mean(axis=1),
            "idf1": 2 * self.idtp / np.maximum(1, self.truth + self.result),
        }


def resample(
    sequence: ScoredSequence, *, block_frames: int = 25, samples: int = 300, seed: int = 0, whole: bool = False
) -> Resampled:
    """Returns the sums of HOTA and Identity when blocks of frames are drawn with replacement.

    Frames next to each other share their faults, so that single frames would give intervals that are too narrow. A
    drawn block brings its boxes as often as it was drawn; the matches of the frames stay those of the whole video, the
    naming of Identity is found anew. The same seed draws the same blocks for every tracker.

    Args:
        sequence: what is scored, from `apply_rules`.
        block_frames: frames of a block; raise it where faults last longer.
        samples: how often the blocks are drawn.
        seed: of the draws.
        whole: draws every block once instead: the plain score.

    Raises:
        ValueError: if a number is out of its range.

    Reference:
        Kuensch, The Jackknife and the Bootstrap for General Stationary Observations, Annals of Statistics 1989.
    """
    if block_frames < 1:
        raise ValueError(f"block_frames: got {block_frames}; expected at least 1")
    blocks = max(1, -(-sequence.length // block_frames))
    drawn = np.ones((1, blocks)) if whole else draw_counts(blocks, samples=samples, seed=seed).astype(float)
    persons, tracks = len(sequence.truth_id), len(sequence.result_id)
    truth = np.zeros((blocks, persons))
    result = np.zeros((blocks, tracks))
    for frame in sequence.frames:
        at = (frame.number - 1) // block_frames
        truth[at, frame.truth] += 1
        result[at, frame.result] += 1
    truth, result = drawn @ truth, drawn @ result
    tp, assa_sum = _hota_sums(sequence, drawn, truth, result, block_frames)
    idtp = _identity_sums(sequence, drawn, block_frames)
    return Resampled(tp, truth.sum(axis=1), result.sum(axis=1), assa_sum, idtp)


def paired_intervals(
    before: Mapping[str, Resampled], after: Mapping[str, Resampled], *, confidence: float = 0.95
) -> dict[str, Interval]:
    """Returns intervals of hota, deta, assa and idf1 of `after` minus `before`, over all sequences together.

    Args:
        before: by sequence.
        after: by the same sequences, from the same draws.
        confidence: share of the samples inside the interval.

    Raises:
        ValueError: if the two do not belong together.
    """
    if set(before) != set(after) or not before:
        raise ValueError(f"after: got sequences {sorted(after)}; expected {sorted(before)}, as before")
    first, second = (reduce(add, (part[name] for name in sorted(part))).scores() for part in (before, after))
    if any(len(first[name]) != len(second[name]) for name in first):
        raise ValueError("after: got another number of samples than before; expected the same draws")
    differences = np.stack([second[name] - first[name] for name in first], axis=1)
    return dict(zip(first, percentile_intervals(differences, confidence=confidence)))


def _hota_sums(
    sequence: ScoredSequence, drawn: FloatArray, truth: FloatArray, result: FloatArray, block_frames: int
) -> tuple[FloatArray, FloatArray]:
    """Returns (S, 19) matched boxes and sums of their association accuracy."""
    person, track, number, similarity = match_hota(sequence)
    tp, assa_sum = np.zeros((2, len(drawn), len(ALPHAS)))
    if not len(person):
        return tp, assa_sum
    pair, member = np.unique(person * len(sequence.result_id) + track, return_inverse=True)
    of_person, of_track = truth[:, pair // len(sequence.result_id)], result[:, pair % len(sequence.result_id)]
    place = ((number - 1) // block_frames) * len(pair) + member
    for n, alpha in enumerate(ALPHAS):
        near = similarity >= alpha - EPSILON
        counts = np.bincount(place[near], minlength=drawn.shape[1] * len(pair)).reshape(drawn.shape[1], len(pair))
        count = drawn @ counts
        tp[:, n] = count.sum(axis=1)
        assa_sum[:, n] = (count * count / np.maximum(1, of_person + of_track - count)).sum(axis=1)
    return tp, assa_sum


def _identity_sums(sequence: ScoredSequence, drawn: FloatArray, block_frames: int) -> FloatArray:
    """Returns (S,) boxes under the right identity, by the naming that is best for each draw."""
    shape = drawn.shape[1], len(sequence.truth_id), len(sequence.result_id)
    together = np.zeros(shape)
    for frame in sequence.frames:
        row, column = np.nonzero(frame.similarity >= IOU_THRESHOLD)
        together[(frame.number - 1) // block_frames, frame.truth[row], frame.result[column]] += 1
    weighted = (drawn @ together.reshape(shape[0], -1)).reshape(len(drawn), *shape[1:])
    sums = [matrix[linear_sum_assignment(matrix, maximize=True)].sum() for matrix in weighted]
    return np.array(sums, dtype=float)
