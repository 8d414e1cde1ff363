"""How good is a tracker? HOTA, CLEAR and Identity by the rules of MOTChallenge, per sequence and summed.

The numbers are TrackEval's. py-motmetrics carries pairs on and counts fragments by other rules, so that it serves in
the tests only, for what both count alike: identities.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import reduce
from operator import add

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.metrics.hota import Hota, score_hota
from mot_reid.metrics.mot_alignment import missing_frames, refuse_other_pixels
from mot_reid.metrics.mot_rules import EPSILON, IOU_THRESHOLD, Benchmark, ScoredSequence, apply_rules, counted
from mot_reid.structures import TrackTable


@dataclass(frozen=True, slots=True)
class Clear:
    """CLEAR counts at IoU 0.5, which add up over sequences, and the scores they give.

    Attributes:
        frames: Number of frames.
        tp: Matched boxes.
        fn: Ground-truth boxes without a match (misses).
        fp: Result boxes without a match (false alarms).
        idsw: Identity switches: a person's track is another than when it was last matched.
        frag: Fragments: how often the matching of a person resumes after an interruption.
        mt: Mostly tracked persons: matched in more than 80% of their boxes.
        pt: Partly tracked persons.
        ml: Mostly lost persons: matched in less than 20%.
        similarity_sum: IoU summed over the matches.
    """

    frames: int
    tp: int
    fn: int
    fp: int
    idsw: int
    frag: int
    mt: int
    pt: int
    ml: int
    similarity_sum: float

    def __add__(self, other: Clear) -> Clear:
        """Returns the sums of both: the score of the sequences together."""
        return Clear(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def mota(self) -> float:
        """Accuracy: 1 minus misses, false alarms and switches per ground-truth box. May be negative."""
        return (self.tp - self.fp - self.idsw) / max(1, self.tp + self.fn)

    @property
    def moda(self) -> float:
        """Accuracy of detection alone: without the switches."""
        return (self.tp - self.fp) / max(1, self.tp + self.fn)

    @property
    def smota(self) -> float:
        """Soft accuracy: matches count by their IoU."""
        return (self.similarity_sum - self.fp - self.idsw) / max(1, self.tp + self.fn)

    @property
    def motal(self) -> float:
        """Accuracy with the logarithm (base 10) of the number of switches."""
        return (self.tp - self.fp - (np.log10(self.idsw) if self.idsw else 0)) / max(1, self.tp + self.fn)

    @property
    def motp(self) -> float:
        """Precision: mean IoU of the matches."""
        return self.similarity_sum / max(1, self.tp)

    @property
    def recall(self) -> float:
        """Share of the ground-truth boxes that are matched."""
        return self.tp / max(1, self.tp + self.fn)

    @property
    def precision(self) -> float:
        """Share of the result boxes that are matched."""
        return self.tp / max(1, self.tp + self.fp)

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision."""
        return self.tp / max(1, self.tp + 0.5 * self.fn + 0.5 * self.fp)

    @property
    def fp_per_frame(self) -> float:
        """False alarms per frame."""
        return self.fp / max(1, self.frames)


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity counts at IoU 0.5 under the best one-to-one naming of persons and tracks; they add up over sequences.

    Attributes:
        idtp: Boxes on the right person under that naming.
        idfn: Ground-truth boxes that are not.
        idfp: Result boxes that are not.
    """

    idtp: int
    idfn: int
    idfp: int

    def __add__(self, other: Identity) -> Identity:
        """Returns the sums of both: the score of the sequences together."""
        return Identity(self.idtp + other.idtp, self.idfn + other.idfn, self.idfp + other.idfp)

    @property
    def idf1(self) -> float:
        """Harmonic mean of identity recall and precision."""
        return self.idtp / max(1, self.idtp + 0.5 * self.idfn + 0.5 * self.idfp)

    @property
    def idr(self) -> float:
        """Identity recall."""
        return self.idtp / max(1, self.idtp + self.idfn)

    @property
    def idp(self) -> float:
        """Identity precision."""
        return self.idtp / max(1, self.idtp + self.idfp)


@dataclass(frozen=True, slots=True, eq=False)
class ClearPairs:
    """The matches of CLEAR, sorted by person, then frame: where a tracker loses and swaps identities.

    Attributes:
        person: (M,) identity in the ground truth.
        track: (M,) identity in the result.
        frame: (M,) frame number.
        similarity: (M,) IoU.
        switch: (M,) bool: the person was last matched to another track (by the previous row).
        fragment: (M,) bool: the person was matched before, but not in the last frame with boxes on both sides.
    """

    person: IntArray
    track: IntArray
    frame: IntArray
    similarity: FloatArray
    switch: BoolArray
    fragment: BoolArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MotScores:
    """The three families of scores, of one sequence or of several together."""

    hota: Hota
    clear: Clear
    identity: Identity

    def __repr__(self) -> str:
        return f"MotScores({_spelled(self)})"

    def __add__(self, other: MotScores) -> MotScores:
        """Returns the scores of the sequences of both together."""
        return MotScores(self.hota + other.hota, self.clear + other.clear, self.identity + other.identity)

    def to_dict(self) -> dict[str, float]:
        """Returns the scores in plain numbers; fractions, HOTA's averaged over its thresholds."""
        hota = {
            name: getattr(self.hota, name)
            for name in ("hota", "deta", "assa", "detre", "detpr", "assre", "asspr", "loca")
        }
        clear = ("mota", "motp", "recall", "precision", "idsw", "frag", "mt", "pt", "ml", "tp", "fn", "fp", "frames")
        identity = ("idf1", "idr", "idp", "idtp", "idfn", "idfp")
        return (
            {name: float(value.mean()) for name, value in hota.items()}
            | {name: getattr(self.clear, name) for name in clear}
            | {name: getattr(self.identity, name) for name in identity}
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MotResult:
    """Scores of a tracker on a benchmark.

    Attributes:
        sequences: Scores by name of the sequence.
        combined: Of all sequences together: counts are summed before any ratio, scores are not averaged.
        pairs: The matches of CLEAR by name of the sequence, with every switch and fragment.
    """

    sequences: dict[str, MotScores]
    combined: MotScores
    pairs: dict[str, ClearPairs]

    def __repr__(self) -> str:
        names = ", ".join(self.sequences) if len(self.sequences) <= 4 else f"{len(self.sequences)} sequences"
        return f"MotResult({names}: {_spelled(self.combined)})"

    def to_dict(self) -> dict[str, dict]:
        """Returns `{"combined": {..}, "sequences": {name: {..}}}` in plain numbers."""
        return {
            "combined": self.combined.to_dict(),
            "sequences": {name: scores.to_dict() for name, scores in self.sequences.items()},
        }


def _spelled(scores: MotScores) -> str:
    clear = scores.clear
    return (
        f"HOTA {scores.hota.hota.mean():.2%}, MOTA {clear.mota:.2%}, IDF1 {scores.identity.idf1:.2%}, "
        f"{clear.idsw:,} identity switches, {clear.fp:,} false alarms, "
        f"{clear.fn:,} misses, {clear.frames:,} frames"
    )


def evaluate_mot(
    ground_truth: TrackTable | Mapping[str, TrackTable],
    result: TrackTable | Mapping[str, TrackTable],
    *,
    benchmark: Benchmark = "MOT17",
    lengths: Mapping[str, int] | None = None,
) -> MotResult:
    """Returns HOTA, CLEAR and Identity of a tracker, per sequence and over all sequences.

    Args:
        ground_truth: Tables by name of the sequence, or one table (its sequence is then called "sequence").
            `class_id` and `ignore` are those of the benchmark, see `mot_rules`.
        result: The tracker's tables under the same names. An empty table is a tracker that found nothing.
        benchmark: Whose rules: "MOT15" (no classes: also for data of your own), "MOT16", "MOT17", "MOT20",
            "DanceTrack" or "SportsMOT".
        lengths: Number of frames by name; the last frame with a box where not given.

    Raises:
        ValueError: If a sequence has no result or no ground truth, a table breaks the rules of the benchmark, or the
            boxes of the result fit only after scaling or with columns of another meaning.

    Warns:
        UserWarning: If many frames have people, but no result, or the other way round.

    Reference:
        Luiten et al., HOTA, IJCV 2021; Bernardin and Stiefelhagen, CLEAR MOT, EURASIP JIVP 2008; Ristani et al.,
        Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, ECCV Workshops 2016.
    """
    truths = {"sequence": ground_truth} if isinstance(ground_truth, TrackTable) else dict(ground_truth)
    results = {"sequence": result} if isinstance(result, TrackTable) else dict(result)
    if not truths or set(truths) != set(results):
        alone = ", ".join(sorted(set(truths) ^ set(results))) or "no sequence"
        raise ValueError(
            f"result: got {alone} on one side only; expected the same sequences in ground truth and result"
        )
    sequences, pairs = {}, {}
    for name, truth in truths.items():
        try:
            scored = apply_rules(truth, results[name], benchmark=benchmark, length=(lengths or {}).get(name))
            people = truth[counted(truth, benchmark)]
            refuse_other_pixels(people, results[name])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        missing = missing_frames(people, results[name])
        if missing is not None:
            warnings.warn(f"{name}: {missing}", stacklevel=2)
        clear, pairs[name] = score_clear(scored)
        sequences[name] = MotScores(score_hota(scored), clear, score_identity(scored))
    return MotResult(sequences, reduce(add, sequences.values()), pairs)


def score_clear(sequence: ScoredSequence) -> tuple[Clear, ClearPairs]:
    """Returns the CLEAR counts of one sequence, and the matches they come from."""
    person, track, step, number, similarity = _clear_pairs(sequence)
    order = np.lexsort((step, person))
    person, track, step, number = person[order], track[order], step[order], number[order]
    again = np.append(False, np.diff(person) == 0)[: len(person)]
    switch = again & np.append(False, np.diff(track) != 0)[: len(person)]
    fragment = again & np.append(False, np.diff(step) > 1)[: len(person)]
    ratio = np.bincount(person, minlength=len(sequence.truth_id)) / sequence.truth_boxes
    tp, mt, ml = len(person), int((ratio > 0.8).sum()), int((ratio < 0.2).sum())
    clear = Clear(
        frames=sequence.length,
        tp=tp,
        fn=int(sequence.truth_boxes.sum()) - tp,
        fp=int(sequence.result_boxes.sum()) - tp,
        idsw=int(switch.sum()),
        frag=int(fragment.sum()),
        mt=mt,
        pt=len(ratio) - mt - ml,
        ml=ml,
        similarity_sum=float(similarity.sum()),
    )
    pairs = ClearPairs(
        sequence.truth_id[person], sequence.result_id[track], number, similarity[order], switch, fragment
    )
    return clear, pairs


def _clear_pairs(sequence: ScoredSequence) -> tuple[IntArray, IntArray, IntArray, IntArray, FloatArray]:
    """Returns person, track, step, frame number and IoU of every match; frames without a box on one side are no step.

    Pairs of the step before are carried on while their IoU is at least 0.5; the others match for the largest sum of
    IoUs, as in TrackEval. (py-motmetrics carries pairs on however long ago they were matched, and matches as many boxes
    as it can before it looks at their IoU: other switches, and in dense crowds other matches.)
    """
    last_track, last_step = np.full((2, len(sequence.truth_id)), -1, dtype=np.int64)
    steps = [frame for frame in sequence.frames if frame.similarity.size]
    matches = []
    for step, frame in enumerate(steps):
        near = frame.similarity >= IOU_THRESHOLD - EPSILON
        last = np.where(last_step[frame.truth] == step - 1, last_track[frame.truth], -1)
        match = near & (last[:, None] == frame.result)
        free = near & ~match.any(axis=1)[:, None] & ~match.any(axis=0)
        row, column = linear_sum_assignment(np.where(free, frame.similarity, 0.0), maximize=True)
        near_enough = free[row, column]
        match[row[near_enough], column[near_enough]] = True
        row, column = np.nonzero(match)
        person, track = frame.truth[row], frame.result[column]
        last_track[person], last_step[person] = track, step
        matches.append(
            (person, track, np.full(len(row), step), np.full(len(row), frame.number), frame.similarity[match])
        )
    if not matches:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, nothing, nothing, np.zeros(0)
    person, track, step_of, number, similarity = (np.concatenate(column) for column in zip(*matches))
    return person, track, step_of, number, similarity


def score_identity(sequence: ScoredSequence) -> Identity:
    """Returns the Identity counts of one sequence: those of the naming that gets most boxes right."""
    together = np.zeros((len(sequence.truth_id), len(sequence.result_id)), dtype=np.int64)
    for frame in sequence.frames:
        row, column = np.nonzero(frame.similarity >= IOU_THRESHOLD)
        together[frame.truth[row], frame.result[column]] += 1
    row, column = linear_sum_assignment(together, maximize=True)
    idtp = int(together[row, column].sum())
    return Identity(idtp, int(sequence.truth_boxes.sum()) - idtp, int(sequence.result_boxes.sum()) - idtp)
