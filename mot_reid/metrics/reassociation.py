"""Does a model find a person again, later in the same video? Rank-1 of tracklets among those that come after a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import BoolArray, IntArray
from mot_reid.metrics.bootstrap import Interval, draw_counts, percentile_intervals
from mot_reid.metrics.retrieval import check_embedding


@dataclass(frozen=True, slots=True, eq=False)
class Reassociation:
    """How often the most similar of the later tracklets shows the same person.

    Attributes:
        right: (Q,) whether it does, of each tracklet whose person comes later.
        person_id: (Q,) of those tracklets.
        chance: What guessing gives: the mean share of right answers among the later tracklets.
        tracklets: Of the whole video.
    """

    right: BoolArray
    person_id: IntArray
    chance: float
    tracklets: int

    @property
    def rank1(self) -> float:
        """Share of the questions with a right answer."""
        return float(self.right.mean())

    def interval(self, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0) -> Interval:
        """Returns the bootstrap interval of `rank1` over persons, whose tracklets rise and fall together.

        Args:
            samples: How often the persons are drawn.
            confidence: Share of the samples inside the interval.
            seed: Of the drawing.
        """
        _, group = np.unique(self.person_id, return_inverse=True)
        right, asked = np.bincount(group, weights=self.right), np.bincount(group)
        drawn = draw_counts(len(asked), samples=samples, seed=seed)
        return percentile_intervals(((drawn @ right) / (drawn @ asked))[:, None], confidence=confidence)[0]

    def to_dict(self, *, samples: int = 0) -> dict[str, Any]:
        """Returns the score as fractions.

        Args:
            samples: Of the bootstrap; 0 for no interval.
        """
        found: dict[str, Any] = {"rank1": self.rank1, "chance": self.chance, "queries": len(self.right)}
        found |= {"persons": len(np.unique(self.person_id)), "tracklets": self.tracklets}
        return found | ({"interval": list(self.interval(samples=samples))} if samples else {})


def reassociate(
    embedding: ArrayLike, *, person_id: ArrayLike, first_frame: ArrayLike, last_frame: ArrayLike, apart: int = 30
) -> Reassociation:
    """Returns how well tracklets find their person among those that begin some frames after their end.

    Args:
        embedding: (N, D) one of each tracklet, any length.
        person_id: (N,) whom each shows.
        first_frame: (N,) in which each begins.
        last_frame: (N,) in which each ends.
        apart: An answer begins this many frames after the end of its question or later.

    Raises:
        ValueError: No person comes again so late, so that there is nothing to ask.
    """
    unit = check_embedding("embedding", embedding).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    person, first, last = (np.asarray(values) for values in (person_id, first_frame, last_frame))
    later = first[None, :] >= last[:, None] + apart
    same = later & (person[:, None] == person[None, :])
    asks = same.any(axis=1)
    if not asks.any():
        raise ValueError(
            f"re-association: got {len(person)} tracklets, none of a person who comes again {apart} frames later; "
            "expected one at least; take a longer video, or fewer frames apart"
        )
    best = np.where(later[asks], (unit @ unit.T)[asks], -np.inf).argmax(axis=1)
    chance = (same[asks].sum(axis=1) / later[asks].sum(axis=1)).mean()
    return Reassociation(person[best] == person[asks], person[asks], float(chance), len(person))
