"""What the tracked people look like: embeddings per track, and the memory of those who left."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, IntArray
from mot_reid.tracking.store import Store

# An embedding becomes a further exemplar when its cosine similarity to those kept is below this.
_DIVERSE = 0.9


class Embeddings:
    """Embeddings of n people: an exponential mean and a few exemplars that differ from each other.

    Attributes:
        mean: `(n, D)` unit vectors, NaN where none was seen.
        exemplars: `(n, K, D)` unit vectors, NaN where not filled.
        kept: `(n,)` number of exemplars ever kept; the next one goes to slot `kept % K`.
        updated: `(n,)` time in frames of the last embedding, -inf where none was seen.
    """

    __slots__ = ("exemplars", "kept", "mean", "slots", "updated")

    def __init__(self, slots: int, *, size: int = 0, dimension: int = 0) -> None:
        self.slots = slots
        self.mean: Float32Array = np.full((size, dimension), np.nan, np.float32)
        self.exemplars: Float32Array = np.full((size, slots, dimension), np.nan, np.float32)
        self.kept: IntArray = np.zeros(size, np.int64)
        self.updated: FloatArray = np.full(size, -np.inf)

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def dimension(self) -> int:
        """Size of the embeddings; 0 before the first one."""
        return self.mean.shape[1]

    def widen(self, dimension: int) -> None:
        """Sets the size of the embeddings while none is held."""
        if dimension != self.dimension:
            fresh = Embeddings(self.slots, size=len(self), dimension=dimension)
            self.mean, self.exemplars = fresh.mean, fresh.exemplars

    def keep(self, index: IntArray) -> None:
        """Keeps the people at `(k,)` positions, in that order."""
        self.mean, self.exemplars = self.mean.take(index, axis=0), self.exemplars.take(index, axis=0)
        self.kept, self.updated = self.kept.take(index), self.updated.take(index)

    def select(self, index: IntArray) -> Embeddings:
        """Returns a copy of the people at `(k,)` positions."""
        chosen = Embeddings(self.slots)
        chosen.mean, chosen.exemplars = self.mean, self.exemplars
        chosen.kept, chosen.updated = self.kept, self.updated
        chosen.keep(index)
        return chosen

    def extend(self, other: Embeddings) -> None:
        """Adds other people behind those that are here."""
        if other.dimension and not self.dimension:
            self.widen(other.dimension)
        elif self.dimension and not other.dimension:
            other = Embeddings(self.slots, size=len(other), dimension=self.dimension)
        self.mean = np.concatenate((self.mean, other.mean))
        self.exemplars = np.concatenate((self.exemplars, other.exemplars))
        self.kept = np.concatenate((self.kept, other.kept))
        self.updated = np.concatenate((self.updated, other.updated))

    def observe(self, row: IntArray, embedding: Float32Array, *, ema: float | Float32Array, clock: float) -> None:
        """Adds one embedding `(k, D)` to each of the people at `(k,)` distinct positions.

        Args:
            ema: weight of the past, one for all or `(k, 1)`.
            clock: time in frames.
        """
        self.widen(embedding.shape[1])
        old = self.mean[row]
        mixed = ema * old + np.float32(1 - ema) * embedding
        mixed /= np.sqrt(np.add.reduce(mixed * mixed, axis=1, keepdims=True))
        unknown = np.isnan(mixed[:, 0])
        if np.count_nonzero(unknown):
            mixed[unknown] = embedding[unknown]
        self.mean[row] = mixed
        self.updated[row] = clock
        if self.slots:
            self._keep_exemplar(row, embedding)

    def inherit(self, row: IntArray, other: Embeddings) -> None:
        """Gives the people at `(k,)` positions the exemplars of `(k,)` others, who were the same people before."""
        for slot in range(self.slots):
            self._keep_exemplar(row, other.exemplars[:, slot])

    def similarity(self, row: IntArray, embedding: Float32Array) -> FloatArray:
        """Returns `(k,)` cosine similarities of people at `(k,)` positions and embeddings `(k, D)`; NaN if unknown.

        The larger of the similarity to the mean and that to the closest exemplar: the mean is robust, an exemplar
        remembers the other side of a person.
        """
        to_mean = np.einsum("kd,kd->k", self.mean[row], embedding).astype(np.float64)
        return np.fmax(to_mean, self._to_exemplars(row, embedding)) if self.slots else to_mean

    def _keep_exemplar(self, row: IntArray, embedding: Float32Array) -> None:
        """Keeps the embeddings that differ from what is kept, over the oldest where all slots are filled."""
        known = (self._to_exemplars(row, embedding) >= _DIVERSE) | np.isnan(embedding[:, 0])
        new = (~known).nonzero()[0]
        if not len(new):
            return
        fresh = row[new]
        self.exemplars[fresh, self.kept[fresh] % self.slots] = embedding[new]
        self.kept[fresh] += 1

    def _to_exemplars(self, row: IntArray, embedding: Float32Array) -> FloatArray:
        each = np.einsum("kjd,kd->kj", self.exemplars[row], embedding).astype(np.float64)
        return np.fmax.reduce(each, axis=1)


class Memory:
    """People who left: their public identity, class, time of leaving and embeddings; bounded in number and in time.

    Attributes:
        track_id: `(n,)`.
        class_id: `(n,)`.
        left: `(n,)` time in frames of the last sight.
        last: `(4, n)` box of the last sight.
        embeddings: what the n people look like.
    """

    __slots__ = ("class_id", "embeddings", "last", "left", "size", "track_id")

    def __init__(self, size: int, *, slots: int) -> None:
        self.size = size
        self.track_id: IntArray = np.zeros(0, np.int64)
        self.class_id: IntArray = np.zeros(0, np.int64)
        self.left: FloatArray = np.zeros(0)
        self.last: FloatArray = np.zeros((4, 0))
        self.embeddings = Embeddings(slots)

    def __len__(self) -> int:
        return len(self.track_id)

    def add(self, store: Store, gone: IntArray, *, embeddings: Embeddings) -> None:
        """Remembers the tracks at `(k,)` positions of the store; beyond the size those who left first are forgotten."""
        self.track_id = np.concatenate((self.track_id, store.track_id[gone]))
        self.class_id = np.concatenate((self.class_id, store.class_id[gone]))
        self.left = np.concatenate((self.left, store.seen[gone]))
        self.last = np.concatenate((self.last, store.last[:, gone]), axis=1)
        self.embeddings.extend(embeddings.select(gone))
        if len(self) > self.size:
            self.keep(np.sort(self.left.argsort(kind="stable")[-self.size :]))

    def keep(self, index: IntArray) -> None:
        """Keeps the people at `(k,)` positions."""
        self.track_id, self.class_id = self.track_id.take(index), self.class_id.take(index)
        self.left, self.last = self.left.take(index), self.last.take(index, axis=1)
        self.embeddings.keep(index)

    def forget_before(self, time: float) -> None:
        """Forgets those who left before `time` (frames)."""
        if len(self) and self.left.min() < time:
            self.keep(np.flatnonzero(self.left >= time))
