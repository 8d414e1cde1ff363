"""Recognising a person who comes back: where motion has nothing to say any more, by appearance.

Two questions with two thresholds. *Near*: someone vanished in the middle of the scene and a moment later someone
appears within walking distance, also in the middle of the scene. People do neither without a cause (a lamp post,
another person), so it is the same one unless they look different: the gate of the model decides. *Far*: anyone who left
may come back anywhere at any time. There the gate is raised to what one pair in a thousand of different people of this
very video (seen at the same time) exceeds, once 300 such pairs were seen, and halfway to 1 until then, as mostly
in short videos with embeddings on demand; and the best candidate must be clearly better than the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, IntArray
from mot_reid.tracking.assignment import gated
from mot_reid.tracking.memory import Embeddings, Memory
from mot_reid.tracking.motion import warp_boxes
from mot_reid.tracking.store import Store

# A person goes one body height per second when walking briskly; the start allows for the jitter of boxes.
_HEIGHTS_PER_SECOND = 1.0
_HEIGHTS_AT_ONCE = 0.5
_NEAR_SECONDS = 10.0
# A box nearer to the edge of the scene than this share of its height is entering or leaving.
_EDGE = 0.15
_CHANCE = 1e-3
# Who looks like two people is taken for neither: a far recall must beat the next by this share of (1 - gate).
_MARGIN = 0.3
_ENOUGH_PAIRS = 300
_BINS = 200
_MANY_PAIRS = 1e6


class Impostors:
    """How alike different people of this video look: a histogram of cosine similarities, bounded in size.

    Attributes:
        counts: `(200,)` pairs per bin of [-1, 1].
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: FloatArray = np.zeros(_BINS)

    def observe(self, embedding: Float32Array) -> None:
        """Adds every pair of `(k, D)` embeddings of people seen apart from each other in one frame."""
        cosine = (embedding @ embedding.T).take(_pairs(len(embedding)))
        bins = np.minimum(np.maximum(((cosine + 1) * (_BINS / 2)).astype(np.int64), 0), _BINS - 1)
        self.counts += np.bincount(bins, minlength=_BINS)
        if self.counts.sum() > _MANY_PAIRS:
            self.counts /= 2

    def threshold(self, *, unknown: float) -> float:
        """Returns what one pair of different people in a thousand exceeds; `unknown` while too few were seen."""
        total = self.counts.sum()
        if total < _ENOUGH_PAIRS:
            return unknown
        above = np.cumsum(self.counts[::-1])[::-1]
        return float(np.count_nonzero(above > _CHANCE * total) / (_BINS / 2) - 1)


@lru_cache(maxsize=64)
def _pairs(count: int) -> IntArray:
    """Returns where in a flat square matrix the pairs of two different rows are, each once; nearly always the same."""
    row, column = np.triu_indices(count, 1)
    flat = row * count + column
    flat.flags.writeable = False
    return flat


class Edges:
    """Where the edges of the picture are, as far as boxes have shown: `xyxy` `(4,)`."""

    __slots__ = ("xyxy",)

    def __init__(self) -> None:
        self.xyxy: FloatArray = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def observe(self, xyxy: FloatArray) -> None:
        """Widens the picture to `(4, n)` boxes, n > 0."""
        np.minimum(self.xyxy[:2], xyxy[:2].min(axis=1), out=self.xyxy[:2])
        np.maximum(self.xyxy[2:], xyxy[2:].max(axis=1), out=self.xyxy[2:])

    def moved(self, transform: FloatArray, *, width: int, height: int) -> Edges:
        """Returns the edges after the camera moved; they cannot lie outside of the picture.

        Args:
            transform: `(2, 3)` that maps points of the previous frame to this one.
            width: of the picture.
            height: of the picture.
        """
        new = Edges()
        if np.isfinite(self.xyxy).all():
            new.xyxy = np.clip(warp_boxes(self.xyxy[:, None], transform)[:, 0], 0, [width, height, width, height])
        return new

    def touched_by(self, xyxy: FloatArray) -> BoolArray:
        """Returns which of `(4, n)` boxes are near an edge."""
        margin = _EDGE * (xyxy[3] - xyxy[1])
        room = np.concatenate((xyxy[:2] - self.xyxy[:2, None], self.xyxy[2:, None] - xyxy[2:]))
        return room.min(axis=0) < margin


@dataclass(frozen=True, slots=True)
class Recalled:
    """Tracks that were recognised: `(j,)` positions, identities and similarities."""

    row: IntArray
    track_id: IntArray
    cosine: FloatArray


NOBODY = Recalled(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


def recall(
    store: Store,
    embeddings: Embeddings,
    memory: Memory,
    *,
    new: IntArray,
    dropped: BoolArray,
    excluded: BoolArray,
    gate: tuple[float, float],
    edges: Edges,
    clock: float,
    frame_rate: float,
    max_lost_seconds: float,
) -> Recalled:
    """Gives new tracks the identities of lost people who look like them.

    Candidates are the lost tracks of the store and the people of the memory, of the same class, who were seen in the
    last `max_lost_seconds`. A lost track that is recognised is dropped (its successor goes on under its identity), a
    person of the memory leaves it.

    Args:
        new: `(k,)` positions of tracks that are about to receive an identity.
        dropped: `(n,)` changed in place.
        excluded: `(n,)` tracks that nobody is taken for: duplicates, which live on elsewhere.
        gate: least cosine similarity of the near and of the far question.
        clock: time in frames.
    """
    oldest = clock - max_lost_seconds * frame_rate
    memory.forget_before(oldest)
    lost = np.flatnonzero((store.missed > 0) & (store.track_id > 0) & (store.seen >= oldest) & ~excluded)
    new = new[~np.isnan(embeddings.mean[new, 0])] if embeddings.dimension else new[:0]
    people = embeddings.select(lost)
    people.extend(memory.embeddings)
    if not len(new) or not len(people):
        return NOBODY
    row, column = (part.ravel() for part in np.meshgrid(np.arange(len(new)), np.arange(len(people)), indexing="ij"))
    cosine = people.similarity(column, embeddings.mean[new[row]])
    class_id = np.concatenate((store.class_id[lost], memory.class_id))
    near = _near(
        store.last[:, new],
        np.concatenate((store.last[:, lost], memory.last), axis=1),
        seconds=(clock - np.concatenate((store.seen[lost], memory.left))) / frame_rate,
        edges=edges,
    ).ravel()
    evidence = cosine - np.where(near, *gate)
    certain = near | (cosine - _runner_up(row, column, cosine, count=len(new)) >= (1.0 - gate[0]) * _MARGIN)
    alike = np.flatnonzero((evidence > 0) & certain & (store.class_id[new[row]] == class_id[column]))
    chosen = alike[gated(row[alike], column[alike], 1.0 - evidence[alike], limit=1.0)]
    rows, found = new[row[chosen]], column[chosen]
    identity = np.concatenate((store.track_id[lost], memory.track_id))[found]
    store.track_id[rows] = identity
    embeddings.inherit(rows, people.select(found))
    dropped[lost[found[found < len(lost)]]] = True
    left = np.setdiff1d(np.arange(len(memory)), found - len(lost))
    if len(left) < len(memory):
        memory.keep(left)
    return Recalled(rows, identity, cosine[chosen])


def _runner_up(row: IntArray, column: IntArray, cosine: FloatArray, *, count: int) -> FloatArray:
    """Returns, for each pair of a full `(count, c)` table, the best similarity of its row among the other columns."""
    table = np.nan_to_num(cosine.reshape(count, -1), nan=-1.0)
    if table.shape[1] < 2:
        return np.full(len(row), -1.0)
    second, first = np.sort(table, axis=1)[:, -2:].T
    return np.where(table == first[:, None], second[:, None], first[:, None]).ravel()


def _near(appeared: FloatArray, vanished: FloatArray, *, seconds: FloatArray, edges: Edges) -> BoolArray:
    """Returns the `(k, c)` pairs of `(4, k)` and `(4, c)` boxes inside the scene and within walking distance."""
    centre = (appeared[:2, :, None] + appeared[2:, :, None] - vanished[:2, None] - vanished[2:, None]) / 2
    height = ((appeared[3] - appeared[1])[:, None] + (vanished[3] - vanished[1])) / 2
    reach = (_HEIGHTS_AT_ONCE + _HEIGHTS_PER_SECOND * seconds) * height
    inside = ~edges.touched_by(appeared)[:, None] & ~edges.touched_by(vanished)
    return inside & (seconds <= _NEAR_SECONDS) & (np.hypot(*centre) <= reach)
