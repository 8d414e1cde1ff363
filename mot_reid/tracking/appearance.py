"""All that a tracker knows of appearance: who looks how, who left, and how alike strangers are here."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, IntArray, filled
from mot_reid.tracking.costs import Pairs, overlapping_pairs
from mot_reid.tracking.matching import Boxes
from mot_reid.tracking.memory import Embeddings, Memory
from mot_reid.tracking.motion import warp_boxes
from mot_reid.tracking.presets import Appearance
from mot_reid.tracking.recall import NOBODY, Edges, Impostors, Recalled, recall
from mot_reid.tracking.store import Store

# A box that another one covers this far (IoU) shows two people; its embedding is used, but not kept.
_COVERED = 0.3
_PARTS = {
    "embeddings": ("mean", "exemplars", "kept", "updated"),
    "memory": ("track_id", "class_id", "left", "last"),
    "memory.embeddings": ("mean", "exemplars", "kept", "updated"),
    "impostors": ("counts",),
    "edges": ("xyxy",),
}


class AppearanceState:
    """Appearance of the tracks of a store, position by position, and of the people who left."""

    def __init__(self, look: Appearance) -> None:
        self.look = look
        self.embeddings = Embeddings(look.exemplars)
        self.memory = Memory(look.memory, slots=look.exemplars)
        self.impostors = Impostors()
        self.edges = Edges()

    def check(self, embedding: Float32Array) -> None:
        """Raises ValueError if `(m, D)` embeddings are of another size than those before."""
        known = self.embeddings.dimension or self.memory.embeddings.dimension
        if known and embedding.shape[1] != known:
            raise ValueError(f"embedding: got size {embedding.shape[1]}; expected {known}, as in the frames before")

    def with_cosine(self, pairs: Pairs, boxes: Boxes) -> Pairs:
        """Returns the pairs with the similarity of those whose appearance is known on both sides."""
        if boxes.embedding is None or not self.embeddings.dimension or not len(pairs):
            return pairs
        index = _known(boxes).take(pairs.column).nonzero()[0]
        row, column = pairs.row.take(index), pairs.column.take(index)
        cosine = filled(len(pairs), np.nan)
        cosine[index] = self.embeddings.similarity(row, boxes.embedding.take(column, axis=0))
        return Pairs(pairs.row, pairs.column, pairs.iou, cosine, pairs.distance)

    def observe(self, boxes: Boxes, column: IntArray, *, clock: float) -> None:
        """Adds what this frame shows.

        Args:
            column: `(n,)` box of each track of the store, new ones included; -1 for none.
            clock: time of the frame, in frames.
        """
        embeddings = self.embeddings
        if len(embeddings) < len(column):
            missing = len(column) - len(embeddings)
            embeddings.extend(Embeddings(embeddings.slots, size=missing, dimension=embeddings.dimension))
        if len(boxes.score) and self.look.max_lost_seconds > 0:
            self.edges.observe(boxes.xyxy)
        if boxes.embedding is None:
            return
        known = _known(boxes)
        row = (column >= 0).nonzero()[0]
        row = row[known.take(column.take(row))]
        if self.look.max_lost_seconds > 0:
            alone = known & ~_covered(boxes)
            self.impostors.observe(boxes.embedding[alone])
            # A first embedding is kept in any case: a poor idea of someone is better than none.
            row = row[alone[column[row]] | (embeddings.updated[row] == -np.inf)]
        column = column[row]
        embeddings.observe(row, boxes.embedding[column], ema=self._ema(boxes.score[column]), clock=clock)

    def _ema(self, score: FloatArray) -> float | Float32Array:
        """Returns the weight of the past, for all or for each of `(k,)` boxes."""
        ema, start = self.look.ema, self.look.trust_from
        if start is None:
            return ema
        trust = np.clip((score - start) / max(1.0 - start, 1e-9), 0.0, 1.0)
        return (1.0 - (1.0 - ema) * trust[:, None]).astype(np.float32)

    def moved(self, transform: FloatArray, *, width: int, height: int) -> AppearanceState:
        """Returns what is known, in the coordinates of a camera that moved.

        Args:
            transform: `(2, 3)` that maps points of the previous frame to this one.
            width: of the picture.
            height: of the picture.
        """
        new = self.copy()
        new.memory.last = warp_boxes(new.memory.last, transform)
        new.edges = new.edges.moved(transform, width=width, height=height)
        return new

    def copy(self) -> AppearanceState:
        """Returns a copy from which people can be dropped without changing this one."""
        new = copy(self)
        new.embeddings, new.memory = copy(self.embeddings), copy(self.memory)
        new.memory.embeddings = copy(self.memory.embeddings)
        return new

    def recall(
        self,
        store: Store,
        new: IntArray,
        dropped: BoolArray,
        *,
        excluded: BoolArray,
        gate: float,
        clock: float,
        frame_rate: float,
    ) -> Recalled:
        """Gives new tracks the identities of lost people they look like (see `recall.recall`)."""
        if self.look.max_lost_seconds == 0 or not self.embeddings.dimension:
            return NOBODY
        return recall(
            store,
            self.embeddings,
            self.memory,
            new=new,
            dropped=dropped,
            excluded=excluded,
            gate=(gate, max(gate, self.impostors.threshold(unknown=(1.0 + gate) / 2))),
            edges=self.edges,
            clock=clock,
            frame_rate=frame_rate,
            max_lost_seconds=self.look.max_lost_seconds,
        )

    def remember(self, store: Store, gone: IntArray) -> None:
        """Puts tracks at `(k,)` positions that have an identity and a face into the memory."""
        if self.look.max_lost_seconds > 0 and self.embeddings.dimension:
            known = (store.track_id[gone] > 0) & ~np.isnan(self.embeddings.mean[gone, 0])
            self.memory.add(store, gone[known], embeddings=self.embeddings)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns a copy of everything by name."""
        return {
            f"{part}.{name}": getattr(_find(self, part), name).copy()
            for part, names in _PARTS.items()
            for name in names
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `arrays` returned.

        Raises:
            ValueError: if something is missing or does not fit.
        """
        for part, names in _PARTS.items():
            for name in names:
                owner, key = _find(self, part), f"{part}.{name}"
                old, value = getattr(owner, name), arrays.get(key)
                fixed = name in ("counts", "xyxy")
                if (
                    value is None
                    or value.dtype != old.dtype
                    or value.ndim != old.ndim
                    or (
                        (name == "exemplars" and value.shape[1] != old.shape[1]) or (fixed and value.shape != old.shape)
                    )
                ):
                    raise ValueError(
                        f"tracker state, '{key}': got {None if value is None else value.shape}; "
                        f"expected {old.dtype} of {old.ndim} dimensions; load it into a tracker of the same preset"
                    )
                setattr(owner, name, value.copy())


def _find(state: AppearanceState, part: str) -> Any:
    owner: Any = state
    for name in part.split("."):
        owner = getattr(owner, name)
    return owner


def _known(boxes: Boxes) -> BoolArray:
    """Returns which boxes have an embedding that may be used: those of the high band."""
    assert boxes.embedding is not None
    known = ~np.isnan(boxes.embedding[:, 0])
    known[boxes.high :] = False
    return known


def _covered(boxes: Boxes) -> BoolArray:
    """Returns which boxes overlap another one much."""
    pairs = overlapping_pairs(boxes.xyxy, boxes.xyxy)
    covered = np.zeros(len(boxes.score), np.bool_)
    much = (pairs.iou > _COVERED).nonzero()[0]
    row, column = pairs.row.take(much), pairs.column.take(much)
    covered[row[row != column]] = True
    return covered
