"""HOTA: one score for detecting and for keeping identities, averaged over how exact a box must be."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.metrics.mot_rules import EPSILON, ScoredSequence

ALPHAS: FloatArray = np.arange(0.05, 0.99, 0.05)
ALPHAS.setflags(write=False)


@dataclass(frozen=True, slots=True, eq=False)
class Hota:
    """HOTA and its parts, as sums that add up over sequences. Arrays are (19,), one entry per threshold in `ALPHAS`.

    Attributes:
        tp: Matched boxes.
        fn: Ground-truth boxes without a match.
        fp: Result boxes without a match.
        similarity_sum: IoU summed over the matches.
        assa_sum: Over the matches, the share their pair of identities has of all boxes of either.
        assre_sum: The same, of all boxes of the person.
        asspr_sum: The same, of all boxes of the track.
    """

    tp: FloatArray
    fn: FloatArray
    fp: FloatArray
    similarity_sum: FloatArray
    assa_sum: FloatArray
    assre_sum: FloatArray
    asspr_sum: FloatArray

    def __add__(self, other: Hota) -> Hota:
        """Returns the sums of both: the score of the sequences together."""
        return Hota(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def deta(self) -> FloatArray:
        """Detection accuracy."""
        return self.tp / np.maximum(1, self.tp + self.fn + self.fp)

    @property
    def detre(self) -> FloatArray:
        """Detection recall."""
        return self.tp / np.maximum(1, self.tp + self.fn)

    @property
    def detpr(self) -> FloatArray:
        """Detection precision."""
        return self.tp / np.maximum(1, self.tp + self.fp)

    @property
    def assa(self) -> FloatArray:
        """Association accuracy."""
        return self.assa_sum / np.maximum(1, self.tp)

    @property
    def assre(self) -> FloatArray:
        """Association recall."""
        return self.assre_sum / np.maximum(1, self.tp)

    @property
    def asspr(self) -> FloatArray:
        """Association precision."""
        return self.asspr_sum / np.maximum(1, self.tp)

    @property
    def loca(self) -> FloatArray:
        """Localisation accuracy; 1 where nothing matched."""
        return np.maximum(1e-10, self.similarity_sum) / np.maximum(1e-10, self.tp)

    @property
    def hota(self) -> FloatArray:
        """Geometric mean of detection and association accuracy."""
        return np.sqrt(self.deta * self.assa)

    @property
    def owta(self) -> FloatArray:
        """Open-world tracking accuracy: as HOTA, with recall in place of detection accuracy."""
        return np.sqrt(self.detre * self.assa)


def score_hota(sequence: ScoredSequence) -> Hota:
    """Returns HOTA of one sequence.

    Reference:
        Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking, IJCV 2021, section 5; numbers
        as TrackEval's.
    """
    person, track, _, similarity = match_hota(sequence)
    return _count(sequence, person, track, similarity)


def match_hota(sequence: ScoredSequence) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Returns person, track, frame number and IoU of the pairs that HOTA matches, before any threshold."""
    alignment = _alignment(sequence)
    persons, tracks, numbers, similarities = [], [], [], []
    for frame in sequence.frames:
        if frame.similarity.size:
            score = alignment[frame.truth[:, None], frame.result] * frame.similarity
            row, column = linear_sum_assignment(score, maximize=True)
            persons.append(frame.truth[row])
            tracks.append(frame.result[column])
            numbers.append(np.full(len(row), frame.number))
            similarities.append(frame.similarity[row, column])
    nothing = [np.zeros(0, dtype=np.int64)]
    person, track, number = (np.concatenate(part or nothing) for part in (persons, tracks, numbers))
    return person, track, number, np.concatenate(similarities or [np.zeros(0)])


def _alignment(sequence: ScoredSequence) -> FloatArray:
    """Returns (P, T): how well each person and track go together over the whole sequence, before any matching."""
    together = np.zeros((len(sequence.truth_id), len(sequence.result_id)))
    for frame in sequence.frames:
        similarity = frame.similarity
        if similarity.size:
            either = similarity.sum(axis=0) + similarity.sum(axis=1)[:, None] - similarity
            share = np.divide(similarity, either, out=np.zeros_like(similarity), where=either > EPSILON)
            together[frame.truth[:, None], frame.result] += share
    return together / (sequence.truth_boxes[:, None] + sequence.result_boxes - together)


def _count(sequence: ScoredSequence, person: IntArray, track: IntArray, similarity: FloatArray) -> Hota:
    """Returns the sums over the matches that are similar enough, per threshold."""
    pair, member = np.unique(person * max(1, len(sequence.result_id)) + track, return_inverse=True)
    of_person = sequence.truth_boxes[pair // max(1, len(sequence.result_id))]
    of_track = sequence.result_boxes[pair % max(1, len(sequence.result_id))]
    rows = []
    for alpha in ALPHAS:
        near = similarity >= alpha - EPSILON
        count = np.bincount(member[near], minlength=len(pair))
        squared = count * count
        rows.append(
            (
                near.sum(),
                similarity[near].sum(),
                (squared / np.maximum(1, of_person + of_track - count)).sum(),
                (squared / of_person).sum(),
                (squared / of_track).sum(),
            )
        )
    tp, *sums = np.array(rows, dtype=np.float64).T
    return Hota(tp, sequence.truth_boxes.sum() - tp, sequence.result_boxes.sum() - tp, *sums)
