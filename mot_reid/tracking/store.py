"""The rows of a tracker: one array per property, one position per track, no object per track."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.tracking.motion import Filter, warp_boxes, warp_directions

SIGHTS = 5
"""Sights whose states are kept where occlusion sends tracks back."""

_ALWAYS: dict[str, tuple[tuple[int, ...], type]] = {
    "filter": ((5, 4), np.float64),
    "track_id": ((), np.int64),
    "class_id": ((), np.int64),
    "score": ((), np.float64),
    "confirmed": ((), np.bool_),
    "hits": ((), np.int64),
    "missed": ((), np.int64),
    "born": ((), np.float64),
    "seen": ((), np.float64),
}


class Store:
    """Columns of equal length; position i of every column is track i, older tracks first.

    Attributes:
        filter: `(5, 4, n)` state (see `motion.py`).
        track_id: `(n,)` public identity; 0 as long as none was given.
        class_id: `(n,)`.
        score: `(n,)` score of the box last seen.
        confirmed: `(n,)`.
        hits: `(n,)` sights since the birth, or since the last miss where confirmation is not sticky.
        missed: `(n,)` updates since the track was seen; 0: seen in the last one.
        born: `(n,)` time of birth in frames.
        seen: `(n,)` time of the last sight in frames.
        observed: `(4, n)` box last seen after the birth, NaN before (observation-centric presets).
        recent: `(span, 4, n)` boxes of the last `span` updates, oldest first, NaN where unseen (likewise).
        direction: `(2, n)` direction of movement (likewise).
        frozen: `(5, 4, n)` state at the first miss of the present absence (likewise).
        last: `(4, n)` box of the last sight, births included (presets that recall people or look at corners).
        corner_boxes: `(span, 4, n)` boxes of the last `span` updates, births included, NaN where unseen (with corners).
        corners: `(4, 2, n)` mean direction in which each corner moved (with corners); sum of such (with weak cues).
        score_before: `(n,)` score of the sight before the last one (with corners), or of the update before (weak cues).
        score_state: `(5, n)` state of the score, see `confidence.py` (with weak cues).
        score_frozen: `(5, n)` that state at the first miss of the present absence (with weak cues).
        past: `(5, 5, 4, n)` states after the last five sights, oldest first, NaN where there was none (with occlusion).
        lost: `(n,)` given up for now: found again by strong boxes only (with occlusion).
        hidden: `(n,)` updates since somebody stepped in front; 0: nobody (with occlusion).
        hidden_at: `(n,)` time in frames when that was, of the present absence; far in the past: never (with occlusion).
        late: `(n,)` found after it should have expired (only with `Preset.expiry_slip`).
    """

    __slots__ = ("born", "class_id", "confirmed", "corner_boxes", "corners", "direction", "filter", "frozen", "hidden",
                 "hidden_at", "hits", "last", "late", "lost", "missed", "names", "observed", "past", "recent", "score",
                 "score_before", "score_frozen", "score_state", "seen", "track_id")  # fmt: skip

    filter: FloatArray
    track_id: IntArray
    class_id: IntArray
    score: FloatArray
    confirmed: BoolArray
    hits: IntArray
    missed: IntArray
    born: FloatArray
    seen: FloatArray
    observed: FloatArray
    recent: FloatArray
    direction: FloatArray
    frozen: FloatArray
    last: FloatArray
    corner_boxes: FloatArray
    corners: FloatArray
    score_before: FloatArray
    score_frozen: FloatArray
    score_state: FloatArray
    past: FloatArray
    hidden: IntArray
    hidden_at: FloatArray
    lost: BoolArray
    late: BoolArray

    def __init__(
        self,
        *,
        span: int | None = None,
        late: bool = False,
        last: bool = False,
        corners: int = 0,
        weak_cues: bool = False,
        occlusion: bool = False,
    ) -> None:
        shapes = dict(_ALWAYS)
        if span is not None:
            shapes |= {
                "observed": ((4,), np.float64),
                "recent": ((span, 4), np.float64),
                "direction": ((2,), np.float64),
                "frozen": ((5, 4), np.float64),
            }
        if corners:
            shapes |= {
                "corner_boxes": ((corners, 4), np.float64),
                "corners": ((4, 2), np.float64),
                "score_before": ((), np.float64),
            }
        if weak_cues:
            shapes |= {
                "corners": ((4, 2), np.float64),
                "score_before": ((), np.float64),
                "score_state": ((5,), np.float64),
                "score_frozen": ((5,), np.float64),
            }
        if occlusion:
            shapes |= {
                "past": ((SIGHTS, 5, 4), np.float64),
                "hidden": ((), np.int64),
                "hidden_at": ((), np.float64),
                "lost": ((), np.bool_),
            }
        if last or corners:
            shapes["last"] = ((4,), np.float64)
        if late:
            shapes["late"] = ((), np.bool_)
        self.names = tuple(shapes)
        for name, (shape, dtype) in shapes.items():
            setattr(self, name, np.zeros((*shape, 0), dtype))

    def __len__(self) -> int:
        return len(self.track_id)

    def given_up(self) -> BoolArray:
        """Returns which tracks count as lost: those not seen in the last update, or with occlusion those given up."""
        return self.lost if "lost" in self.names else self.missed > 0

    def keep(self, index: IntArray) -> None:
        """Keeps the tracks at `(k,)` positions, in that order."""
        for name in self.names:
            setattr(self, name, getattr(self, name).take(index, axis=-1))

    def moved(self, motion: Filter, transform: FloatArray) -> Store:
        """Returns the tracks seen by a camera that moved; `filter`, which is predicted at the same time, stays.

        Args:
            transform: `(2, 3)` that maps points of the previous frame to this one.
        """
        new = copy(self)
        for name in ("observed", "recent", "last", "corner_boxes"):
            if name in self.names:
                setattr(new, name, warp_boxes(getattr(self, name), transform))
        if "observed" in self.names:
            new.direction = warp_directions(self.direction, transform)
            new.frozen = motion.warp(self.frozen, transform)
        if "past" in self.names:
            new.past = np.stack([motion.warp(state, transform) for state in self.past])
        if "corners" in self.names:
            new.corners = np.stack([warp_directions(corner, transform) for corner in self.corners])
        return new

    def append(self, **columns: NDArray[Any]) -> None:
        """Adds tracks; a column that is not given begins at 0 (False), or at NaN for observations."""
        count = columns["filter"].shape[-1]
        for name in self.names:
            old = getattr(self, name)
            new = columns.get(name)
            if new is None:
                fill = np.nan if name in ("observed", "recent", "corner_boxes", "past") else 0
                new = np.full((*old.shape[:-1], count), fill, dtype=old.dtype)
            setattr(self, name, np.concatenate((old, new), axis=-1))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns a copy of every column by name."""
        return {name: getattr(self, name).copy() for name in self.names}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes the columns that `arrays` returned.

        Raises:
            ValueError: if a column is missing or has another shape or type.
        """
        count = np.asarray(arrays.get("track_id", ())).size
        fresh = {}
        for name in self.names:
            old = getattr(self, name)
            value = arrays.get(name)
            expected = (*old.shape[:-1], count)
            if value is None or np.shape(value) != expected or np.asarray(value).dtype != old.dtype:
                raise ValueError(
                    f"tracker state, '{name}': got {'nothing' if value is None else np.shape(value)}; "
                    f"expected {old.dtype} of shape {expected}; load it into a tracker of the same preset"
                )
            fresh[name] = np.array(value)
        for name, value in fresh.items():
            setattr(self, name, value)
