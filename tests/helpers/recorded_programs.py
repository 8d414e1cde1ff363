"""What programs do that were recorded and that our presets do not: put back by patches, for parity tests only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from mot_reid.tracking import appearance, lifecycle, matching
from mot_reid.tracking.confidence import continued
from mot_reid.tracking.memory import Embeddings
from mot_reid.tracking.motion import POSITION, VELOCITY, Filter
from mot_reid.tracking.store import Store


def weigh_by_ratio(patch: pytest.MonkeyPatch) -> None:
    """boxmot's Deep OC-SORT: less weight where the second best is more than half of the best."""

    def weight(cosine: np.ndarray, *, weight: float, boost: float) -> np.ndarray:
        weights = np.full(cosine.shape, weight)
        for axis in (0, 1):
            if cosine.shape[axis] > 1:
                second, first = np.moveaxis(np.sort(cosine, axis=axis), axis, 0)[-2:]
                ratio = np.divide(second, first, out=np.zeros_like(first), where=first != 0)
                share = np.where(first == 0, 0.0, 1.0 - np.maximum(ratio - boost, 0.0) / (1.0 - boost))
                weights *= np.expand_dims(share, axis)
        return weights

    patch.setattr(matching, "adaptive_weight", weight)


class BankOfMeans(Embeddings):
    """boxmot's StrongSORT: the most similar of the last hundred means of a confirmed track, one of every frame."""

    __slots__ = ("bank", "sights")

    def __init__(self, slots: int, *, size: int = 0, dimension: int = 0) -> None:
        super().__init__(slots, size=size, dimension=dimension)
        self.bank: list[list[np.ndarray]] = [[] for _ in range(size)]
        self.sights = [0] * size

    def keep(self, index: Any) -> None:
        super().keep(index)
        self.bank = [self.bank[row] for row in index]
        self.sights = [self.sights[row] for row in index]

    def extend(self, other: Embeddings) -> None:
        super().extend(other)
        self.bank += [[] for _ in range(len(other))]
        self.sights += [0] * len(other)

    def observe(self, row: Any, embedding: Any, *, ema: Any, clock: float) -> None:
        super().observe(row, embedding, ema=ema, clock=clock)
        for seen in row:
            self.sights[seen] += 1
        for number, bank in enumerate(self.bank):
            if self.sights[number] > 2:
                self.bank[number] = [*bank, self.mean[number]][-100:]

    def similarity(self, row: Any, embedding: Any) -> np.ndarray:
        best = [max((float(one @ e) for one in self.bank[r]), default=np.nan) for r, e in zip(row, embedding)]
        return np.array(best, float)


def bank_and_vanishing_heights(patch: pytest.MonkeyPatch) -> None:
    """boxmot's StrongSORT: a bank of means, and a lost track may shrink to a height of 0.0001 and still be found."""
    predict = Filter.predict

    def clamped(self: Filter, state: np.ndarray, steps: float = 1.0) -> np.ndarray:
        new = predict(self, state, steps)
        sizes = (state[POSITION] + steps * state[VELOCITY])[2:]
        gone = sizes <= 0
        new[POSITION, 2:][gone] = 1e-4
        new[VELOCITY, 2:][gone] = state[VELOCITY, 2:][gone]
        return new

    patch.setattr(appearance, "Embeddings", BankOfMeans)
    patch.setattr(Filter, "predict", clamped)


def tentative_sizes_and_posteriors(patch: pytest.MonkeyPatch) -> None:
    """Ultralytics' TrackTrack: sizes of tentative tracks do not move; who is found again keeps the way of the corners,
    and has the filter's box in place of the one seen."""
    confirm, observe = lifecycle.confirm, lifecycle.observe

    def confirmed(store: Store, **rest: Any) -> None:
        confirm(store, **rest)
        store.filter[VELOCITY, 2:][:, ~store.confirmed] = 0

    def observed(store: Store, state: np.ndarray, boxes: Any, *, matches: Any, motion: Filter, **rest: Any) -> None:
        again = matches.row[store.missed[matches.row] > 0]
        ways = store.corners[:, :, again].copy()
        observe(store, state, boxes, matches=matches, motion=motion, **rest)
        store.corners[:, :, again] = ways
        store.last[:, again] = store.corner_boxes[-1][:, again] = motion.boxes(store.filter[:, :, again])

    patch.setattr(lifecycle, "confirm", confirmed)
    patch.setattr(lifecycle, "observe", observed)


def accept_weak_boxes_by_overlap(patch: pytest.MonkeyPatch) -> None:
    """boxmot's Hybrid-SORT: weak boxes are assigned by overlap less change of score, but accepted by overlap alone.

    All free tracks and weak boxes take part in the assignment, also those that do not overlap.
    """
    free_tracks: list[np.ndarray] = []
    usable, choose = matching._usable, matching._choose

    def remember(pairs: Any, tracks: Any, still: Any, *, begin: int, end: int) -> np.ndarray:
        free_tracks[:] = [still[0].copy()]
        return usable(pairs, tracks, still, begin=begin, end=end)

    def assign(stage: Any, preset: Any, store: Any, boxes: Any, *, pairs: Any, cost: Any, usable: Any) -> np.ndarray:
        if stage.cost != "height_score":
            return choose(stage, preset, store, boxes, pairs=pairs, cost=cost, usable=usable)
        free = np.flatnonzero(free_tracks[0])
        expected = continued(store.score, store.score_before, low=preset.bands.low, high=preset.bands.high)
        change = np.abs(expected[free, None] - boxes.score[boxes.high :])
        overlap, index = np.zeros(change.shape), np.full(change.shape, -1)
        at = {row: number for number, row in enumerate(free.tolist())}
        for pair in np.flatnonzero(usable):
            place = at[int(pairs.row[pair])], pairs.column[pair] - boxes.high
            overlap[place], index[place] = 1.0 - cost[pair], pair
        total = overlap - change
        if not total.size or total.max() <= 1.0 - stage.limit:
            return np.zeros(0, np.int64)
        column, row = linear_sum_assignment(total.T, maximize=True)
        kept = (index[row, column] >= 0) & (overlap[row, column] >= 1.0 - stage.limit)
        return index[row, column][kept]

    patch.setattr(matching, "_usable", remember)
    patch.setattr(matching, "_choose", assign)
    patch.setitem(matching.COSTS, "height_score", matching.COSTS["weak_cues"])
