"""Why did it switch? What happened at each identity switch and fragment, measured from the boxes alone.

An event is a person who is matched again after an interruption (a fragment), or to another track than before (a
switch). Nothing is asked of the tracker, so anybody's results can be explained: where its old track was expected is
computed anew, by constant velocity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.boxes import iou
from mot_reid.metrics.mot import ClearPairs
from mot_reid.metrics.mot_rules import IOU_THRESHOLD
from mot_reid.structures import TrackTable

Cause = Literal[
    "crossing",
    "camera motion",
    "hidden",
    "missed detection",
    "weak detection",
    "gate",
    "appearance",
    "duplicate",
    "localisation",
    "association",
]
CAUSES: Mapping[Cause, str] = {
    "crossing": "the old track went on with another person, or the new one came from another",
    "camera motion": "the old track was expected elsewhere, and would not have been had the common motion been known",
    "hidden": "the detector did not find the person behind somebody else, and the track was lost over it",
    "missed detection": "the detector did not find the person, whom nobody hid, and the track was lost over it",
    "weak detection": "the detector found the person, but with scores too low for the track to go on",
    "gate": "the person was found, but too far from where the old track was expected",
    "appearance": "the old track was expected there, but the person did not look like it",
    "duplicate": "two tracks followed the person for a while, and the other one won",
    "localisation": "the track was there all the time, but its box overlapped the person too little",
    "association": "the person was found where the old track was expected, and yet not taken for it",
}

SPAN = 5
"""Frames over which a velocity is measured."""
FEWEST = 3
"""Others that must be seen to call their common motion the camera's."""
HIDDEN = 0.5
"""Share of a person behind another from which the detector is not to blame, and of the frames without a box."""


@dataclass(frozen=True, slots=True, eq=False)
class MotEvent:
    """A switch or a fragment. Boxes are (4,) xyxy; the decision is that of `frame`, when the person is matched again.

    Attributes:
        kind: "switch" (perhaps after an interruption) or "fragment" (the same track before and after).
        person: Identity in the ground truth.
        last_frame: Frame number in which the person was last matched.
        frame: Frame number in which it is matched again.
        last_track: The track of then.
        track: The track of now.
        last_box: Its box then.
        box: Its box now.
        expected: Where `last_track` was expected at `frame`, by constant velocity from its boxes before.
        iou: Of `expected` and `box`.
        camera_iou: The same, `expected` moved by the common motion of the others; NaN where too few are seen.
        cosine: Similarity of the looks of `last_box` and `box`; NaN if nobody looked.
        between: Frames between the two in which the person is annotated.
        missing: Those of them in which no box of its own was found for the person.
        score: Mean score of the boxes that were found in them; NaN if there is none.
        reported: Those of them in which `last_track` was reported, somewhere.
        hidden: Those of the missing in which half of the person or more lies in the box of somebody nearer.
        neighbour: The person that `last_track` is on at `frame`, or else that `track` was on before; None if nobody.
        existed: Whether `track` was reported before, and `last_track` is still reported at `frame`.
    """

    kind: Literal["switch", "fragment"]
    person: int
    last_frame: int
    frame: int
    last_track: int
    track: int
    last_box: FloatArray
    box: FloatArray
    expected: FloatArray
    iou: float
    camera_iou: float
    cosine: float
    between: int
    missing: int
    score: float
    reported: int
    hidden: int
    neighbour: int | None
    existed: bool

    def cause(self, *, gate: float = 0.1, threshold: float = 0.5, high: float = 0.6) -> Cause:
        """Returns the first of these that holds.

        Of a switch:

        1. The old track is on another person now, or the new one was on another before: `crossing`.
        2. The old track was expected elsewhere (`iou` below the gate): `camera motion` if the common motion of the
           others explains it, else what was wrong with the detections (below), else `gate`.
        3. The motion was right, but the looks differ: `appearance`.
        4. Both tracks are reported side by side: `duplicate`.
        5. What was wrong with the detections, else `association`: a good box was there, where the old track was
           expected, and the old track was not given it, or had been given up.

        Of a fragment: `localisation` if the track was reported in at least half of the frames between, on the person
        but not well enough; else what was wrong with the detections, and after it `camera motion`, `gate` or
        `association` by the motion, as above.

        Wrong with the detections: one was missing in between (of a fragment: half of them), and the person was `hidden`
        in half of those frames, or it was a `missed detection`; or they were a `weak detection` on average.

        Args:
            gate: Least IoU of a box with where its track was expected; 0.1 is ByteTrack's.
            threshold: Least cosine similarity of the same person.
            high: Score above which a box is a strong one.
        """
        elsewhere = self.iou < gate
        moved = elsewhere and self.camera_iou >= max(gate, self.iou + gate)
        if self.kind == "fragment":
            if 2 * self.reported >= self.between > 0:
                return "localisation"
            by_motion: Cause = "camera motion" if moved else "gate" if elsewhere else "association"
            return self._detection_fault(self.between / 2, high) or by_motion
        fault = self._detection_fault(1, high)
        if self.neighbour is not None:
            return "crossing"
        if elsewhere:
            return "camera motion" if moved else fault or "gate"
        if self.cosine < threshold:
            return "appearance"
        return "duplicate" if self.existed else fault or "association"

    def _detection_fault(self, least: float, high: float) -> Cause | None:
        """Returns what was wrong with the detections in between, if `least` or more are missing or they are weak."""
        if self.missing >= max(least, 1):
            return "hidden" if self.hidden >= HIDDEN * self.missing else "missed detection"
        return "weak detection" if self.score <= high else None


def find_events(
    ground_truth: TrackTable, result: TrackTable, pairs: ClearPairs, *, detections: TrackTable | None = None
) -> list[MotEvent]:
    """Returns the switches and fragments of a sequence in the order of their frames.

    Args:
        ground_truth: All rows of the sequence; those that do not count may hide a person, too.
        result: The tracker's rows.
        pairs: Of this sequence, from `MotResult.pairs`.
        detections: What the tracker was given; the result itself where it is not known, so that a box that the tracker
            left aside counts as not found.
    """
    scene = _Scene(ground_truth, result, pairs, result if detections is None else detections)
    rows = np.flatnonzero(pairs.switch | pairs.fragment)
    return sorted((scene.event(int(row)) for row in rows), key=lambda event: (event.frame, event.person))


class _Scene:
    """A sequence, with its rows found by identity and by frame."""

    def __init__(self, truth: TrackTable, result: TrackTable, pairs: ClearPairs, found: TrackTable) -> None:
        self.pairs = pairs
        self.persons, self.tracks = _by_identity(truth), _by_identity(result)
        self.truth, self.found = truth, found
        self.truth_at, self.found_at = _by_frame(truth), _by_frame(found)
        self.scores: dict[int, dict[int, float]] = {}
        order = np.lexsort((pairs.frame, pairs.track))
        self.matched = {
            int(track): (pairs.frame[rows], pairs.person[rows]) for track, rows in _groups(pairs.track[order], order)
        }

    def event(self, row: int) -> MotEvent:
        """Returns the event of a row of the pairs, which is a match after the one in the row before."""
        pairs = self.pairs
        person, track, last_track = int(pairs.person[row]), int(pairs.track[row]), int(pairs.track[row - 1])
        last_frame, frame = int(pairs.frame[row - 1]), int(pairs.frame[row])
        frames, boxes = self.persons[person]
        inside = (frames > last_frame) & (frames < frame)
        expected, since = _expected(*self.tracks[last_track], frame)
        box = _box_at(*self.tracks[track], frame)
        shift = self._common_motion(person, since, frame)
        shifted = expected + np.tile(shift, 2)
        scores = [self._score(person, n) for n in frames[inside].tolist()]
        missing = [(n, b) for n, b, score in zip(frames[inside].tolist(), boxes[inside], scores) if np.isnan(score)]
        return MotEvent(
            kind="switch" if pairs.switch[row] else "fragment",
            person=person,
            last_frame=last_frame,
            frame=frame,
            last_track=last_track,
            track=track,
            last_box=_box_at(*self.tracks[last_track], last_frame),
            box=box,
            expected=expected,
            iou=float(iou(expected[None], box[None])[0, 0]),
            camera_iou=float("nan") if np.isnan(shift).any() else float(iou(shifted[None], box[None])[0, 0]),
            cosine=float("nan"),
            between=int(inside.sum()),
            missing=len(missing),
            score=float(np.nanmean(scores)) if len(scores) > len(missing) else float("nan"),
            reported=int(np.isin(frames[inside], self.tracks[last_track][0]).sum()),
            hidden=sum(self._covered(n, b) >= HIDDEN for n, b in missing),
            neighbour=self._neighbour(person, last_track, track, frame),
            existed=bool(self.tracks[track][0][0] < frame and (self.tracks[last_track][0] == frame).any()),
        )

    def _neighbour(self, person: int, last_track: int, track: int, frame: int) -> int | None:
        """Returns the other person that one of the two tracks was matched with at the decision, or last before it."""
        if track == last_track:
            return None
        frames, persons = self.matched[last_track]
        now = persons[frames == frame]
        if len(now):
            return int(now[0])
        frames, persons = self.matched[track]
        before = persons[frames < frame]
        return int(before[-1]) if len(before) and before[-1] != person else None

    def _score(self, person: int, frame: int) -> float:
        """Returns the score of the box that is a person's own: no box is that of two people. NaN if there is none."""
        if frame not in self.scores:
            truth, found = self.truth_at[frame], self.found_at.get(frame, np.zeros(0, dtype=np.int64))
            overlap = iou(self.truth.xyxy[truth], self.found.xyxy[found])
            overlap[overlap < IOU_THRESHOLD] = 0
            rows, columns = linear_sum_assignment(overlap, maximize=True)
            good = overlap[rows, columns] > 0
            own = zip(self.truth.track_id[truth[rows[good]]], self.found.score[found[columns[good]]])
            self.scores[frame] = {int(identity): float(score) for identity, score in own}
        return self.scores[frame].get(person, float("nan"))

    def _covered(self, frame: int, box: FloatArray) -> float:
        """Returns the largest share of a person's box inside the box of one who stands nearer: lower in the picture."""
        others = self.truth.xyxy[self.truth_at[frame]]
        others = others[others[:, 3] > box[3]]
        if not len(others):
            return 0.0
        low, high = np.maximum(others[:, :2], box[:2]), np.minimum(others[:, 2:], box[2:])
        area = (box[2:] - box[:2]).prod()
        return float((np.maximum(high - low, 0).prod(axis=1) / max(area, 1e-9)).max())

    def _common_motion(self, person: int, since: int, frame: int) -> FloatArray:
        """Returns the (2,) median shift, at `frame`, of the other persons from where they were expected."""
        shifts = []
        for other, (frames, boxes) in self.persons.items():
            here, before = np.searchsorted(frames, [frame, since])
            if other == person or here == len(frames) or frames[here] != frame or frames[before] != since:
                continue
            expected, _ = _expected(frames[: before + 1], boxes[: before + 1], frame)
            shifts.append((boxes[here, :2] + boxes[here, 2:] - expected[:2] - expected[2:]) / 2)
        return np.median(shifts, axis=0) if len(shifts) >= FEWEST else np.full(2, np.nan)


def _expected(frames: IntArray, boxes: FloatArray, frame: int) -> tuple[FloatArray, int]:
    """Returns where a track is expected at a frame, from its boxes before, and the frame of the last of these."""
    last = int(np.searchsorted(frames, frame)) - 1
    first = int(np.searchsorted(frames, frames[last] - SPAN))
    steps = frames[last] - frames[first]
    centre = (boxes[[first, last], :2] + boxes[[first, last], 2:]) / 2
    velocity = (centre[1] - centre[0]) / max(steps, 1)
    return boxes[last] + np.tile(velocity * (frame - frames[last]), 2), int(frames[last])


def _box_at(frames: IntArray, boxes: FloatArray, frame: int) -> FloatArray:
    return boxes[np.searchsorted(frames, frame)]


def _by_identity(table: TrackTable) -> dict[int, tuple[IntArray, FloatArray]]:
    """Returns frames, rising, and boxes of each identity."""
    order = np.lexsort((table.frame, table.track_id))
    return {key: (table.frame[rows], table.xyxy[rows]) for key, rows in _groups(table.track_id[order], order)}


def _by_frame(table: TrackTable) -> dict[int, IntArray]:
    """Returns the rows of each frame."""
    order = np.argsort(table.frame, kind="stable")
    return dict(_groups(table.frame[order], order))


def _groups(keys: IntArray, rows: IntArray) -> list[tuple[int, IntArray]]:
    """Returns the rows of each of the sorted keys."""
    if not len(keys):
        return []
    unique, starts = np.unique(keys, return_index=True)
    return list(zip(unique.tolist(), np.split(rows, starts[1:])))
