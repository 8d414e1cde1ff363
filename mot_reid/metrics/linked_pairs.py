"""How alike are people of whom nobody wrote down who is who? A threshold from links, and how far it can be trusted.

Links stand in for labels: images of one tracklet show one person, images of two tracklets seen together show two. All
pairs of one track rise and fall together, so what counts is not how many pairs of images there are but how many tracks:
the threshold's interval is of tracks drawn with replacement, with all the pairs that they bring.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.metrics.bootstrap import Interval, draw_counts, percentile_intervals
from mot_reid.metrics.calibration import Calibration, roc_points
from mot_reid.metrics.retrieval import check_embedding, check_ids, unit_rows
from mot_reid.metrics.verification import PairSimilarities

BINS = 2**11
"""Bins of the cosine similarity between -1 and 1: a threshold is known to 0.001."""
MIN_TRACKS = 10
"""Tracks seen together with another one, below which no threshold is given."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class LinkedPairs:
    """Counts of the cosine similarities of linked pairs of images, in bins of equal width from -1 to 1.

    Attributes:
        genuine: (B,) counts of pairs of one person.
        impostor: (P, B) counts of pairs of two persons, for each pair of tracks seen together.
        together: (P, 2) the two tracks.
    """

    genuine: IntArray
    impostor: IntArray
    together: IntArray

    @property
    def tracks(self) -> int:
        """Number of tracks that were seen together with another one."""
        return len(np.unique(self.together))

    def total(self) -> PairSimilarities:
        """Returns the counts of all pairs."""
        return PairSimilarities(self.genuine, self.impostor.sum(axis=0))

    def thresholds(self, false_match_rate: float, *, samples: int, seed: int | np.random.Generator = 0) -> FloatArray:
        """Returns the (S,) lowest thresholds that keep to the rate, each for tracks drawn with replacement.

        A draw in which no two tracks were seen together says nothing and is left out, so S may be below `samples`.

        Args:
            false_match_rate: share of impostor pairs that may match.
            samples: how often the tracks are drawn.
            seed: seed, or generator to draw from.

        Reference:
            Bolle, Ratha and Pankanti, Error analysis of pattern recognition systems: the subsets bootstrap, Computer
            Vision and Image Understanding 93, 2004: what depends on each other is drawn together.
        """
        tracks, rows = np.unique(self.together, return_inverse=True)
        drawn = draw_counts(len(tracks), samples=samples, seed=seed)
        first, second = rows.reshape(-1, 2).T
        weight = (drawn[:, first] * drawn[:, second]).astype(np.float64)
        counts = weight[weight.any(axis=1)] @ self.impostor.astype(np.float64)
        above = np.pad(np.cumsum(counts[:, ::-1], axis=1)[:, ::-1], ((0, 0), (0, 1)))
        # the rates fall along the bins, and the last edge lets nothing through
        chosen = (above > false_match_rate * above[:, :1]).sum(axis=1)
        return np.asarray(self.total().edges[chosen])


@dataclass(frozen=True, slots=True)
class LinkedCalibration:
    """A threshold from links, and what it stands on.

    Attributes:
        calibration: As a checkpoint holds it. Its `identities` are tracks: one person may have several.
        estimate: The threshold at which just the share asked for of these pairs matches.
        interval: 95% of the estimates of tracks drawn with replacement.
        false_match_rate: Share of these pairs of two persons that match at the threshold.
        track_pairs: Number of pairs of tracks seen together.
    """

    calibration: Calibration
    estimate: float
    interval: Interval
    false_match_rate: float
    track_pairs: int


def link_pairs(
    embedding: ArrayLike,
    *,
    tracklet: ArrayLike,
    track: ArrayLike,
    seconds: ArrayLike,
    together: IntArray,
    apart: float,
) -> LinkedPairs:
    """Returns the similarities of all linked pairs.

    Args:
        embedding: (N, D), any length.
        tracklet: (N,) which tracklet each image is of.
        track: (N,) which track that tracklet was cut from.
        seconds: (N,) when it was seen.
        together: (P, 2) pairs of tracklets that show two persons.
        apart: Least time between two images of a tracklet that are a pair: images in a row are alike by themselves.

    Raises:
        ValueError: If shapes do not fit or an embedding is not finite or has no direction.
    """
    unit = unit_rows("embedding", check_embedding("embedding", embedding))
    of, owner = check_ids("tracklet", tracklet, len(unit)), check_ids("track", track, len(unit))
    time = np.asarray(seconds, dtype=np.float64)
    rows = {int(one): np.flatnonzero(of == one) for one in np.unique(of)}
    genuine = np.zeros(BINS, dtype=np.int64)
    for mine in rows.values():
        far = np.triu(np.abs(time[mine][:, None] - time[mine]) >= apart - 1e-9, 1)
        genuine += _binned((unit[mine] @ unit[mine].T)[far])
    counts: dict[tuple[int, int], IntArray] = {}
    for one, other in together.tolist():
        first, second = sorted((int(owner[rows[one][0]]), int(owner[rows[other][0]])))
        found = _binned((unit[rows[one]] @ unit[rows[other]].T).ravel())
        counts[first, second] = counts.get((first, second), 0) + found
    pairs = np.array(list(counts), dtype=np.int64).reshape(-1, 2)
    return LinkedPairs(genuine, np.array(list(counts.values()), dtype=np.int64).reshape(-1, BINS), pairs)


def check_evidence(together: IntArray, false_match_rate: float) -> None:
    """Refuses to look for a threshold where too few people were seen together to show the rate.

    Args:
        together: (P, 2) the pairs of tracks seen together, each once.
        false_match_rate: that is asked for.

    Raises:
        ValueError: If the rate is out of range, or there are too few tracks or pairs of them.
    """
    if not 0 < false_match_rate < 1:
        raise ValueError(f"false_match_rate: got {false_match_rate}; expected between 0 and 1, such as 0.05")
    tracks, pairs = len(np.unique(together)), len(together)
    if tracks < MIN_TRACKS:
        raise ValueError(
            f"source: got {tracks} tracks of people seen together with others; expected {MIN_TRACKS} or more, to learn "
            "how alike different people look; give longer videos, or more of them"
        )
    if false_match_rate * pairs < 1 - 1e-9:
        raise ValueError(
            f"false_match_rate: got {false_match_rate:g} with {pairs} pairs of tracks seen together; expected "
            f"{math.ceil(1000 / pairs) / 1000:g} or more, or {math.ceil(1 / false_match_rate - 1e-9)} pairs; give "
            "longer videos, more of them, or a larger rate"
        )


def calibrate_linked(
    pairs: LinkedPairs, *, false_match_rate: float, samples: int = 1000, seed: int | np.random.Generator = 0
) -> LinkedCalibration:
    """Returns a threshold at which at most the given share of pairs of two persons matches, with 95% confidence.

    The threshold is the 95th percentile of those that tracks drawn with replacement give, not the estimate of the
    pairs as they are: a dozen tracks are a small sample of the people who will pass, and the estimate lets too many
    match about every second time.

    Args:
        pairs: From `link_pairs`.
        false_match_rate: Between 0 and 1.
        samples: How often the tracks are drawn.
        seed: Seed, or generator to draw from.

    Raises:
        ValueError: If the rate is out of range or too small for the number of tracks, or there are too few pairs of
            one person or of two, or no pair of one person reaches the threshold.
    """
    check_evidence(pairs.together, false_match_rate)
    if not pairs.genuine.any():
        raise ValueError(
            "source: got no two images of one tracklet far enough apart in time; expected some; give longer videos"
        )
    roc = pairs.total().roc()
    drawn = pairs.thresholds(false_match_rate, samples=samples, seed=seed)
    at = int(np.searchsorted(roc.threshold, np.quantile(drawn, CONFIDENCE, method="higher")))
    if not roc.true_match_rate[at]:
        raise ValueError(
            f"false_match_rate: got {false_match_rate:g}; expected one at which some pair of one person still matches; "
            "the model cannot tell these people apart: take a larger rate or another model"
        )
    (interval,) = percentile_intervals(drawn[:, None], confidence=CONFIDENCE)
    calibration = Calibration(
        threshold=float(roc.threshold[at]),
        false_match_rate=float(false_match_rate),
        true_match_rate=float(roc.true_match_rate[at]),
        roc=roc_points(roc),
        identities=pairs.tracks,
        genuine_pairs=roc.genuine,
        impostor_pairs=roc.impostor,
    )
    estimate = float(roc.threshold[roc.at(false_match_rate)])
    return LinkedCalibration(calibration, estimate, interval, float(roc.false_match_rate[at]), len(pairs.together))


def _binned(similarity: FloatArray) -> IntArray:
    """Returns (B,) counts of cosine similarities."""
    code = np.clip((similarity + 1) * (BINS / 2), 0, BINS - 1).astype(np.intp)
    return np.bincount(code, minlength=BINS)
