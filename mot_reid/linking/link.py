"""`link`: one identity for the tracklets of one person, over all cameras, with a stated share of false joins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mot_reid.arrays import IntArray
from mot_reid.linking.agglomerate import Groups, Merge
from mot_reid.linking.camera_bias import without_common
from mot_reid.linking.chance import Chance, chance, false_shares
from mot_reid.linking.similar import SimilarPairs, similar_pairs
from mot_reid.linking.tracklets import Constraints, Pairs, Tracklets, Travel, ordered

_ROUNDING = 1e-6
"""A pair that is just similar enough in single precision may be a little less so in double."""
_STRANGERS_EACH = 20
"""Pairs are looked at down to the similarity where so many strangers are expected for every tracklet."""


@dataclass(frozen=True, slots=True)
class Link:
    """Why two groups of tracklets were joined.

    Attributes:
        left: Row of one tracklet of the most similar pair between the groups.
        right: Row of the other.
        similarity: Mean similarity of all pairs of the groups.
        best: Similarity of that pair.
        runner_up: Mean similarity of either group to the next group that was not chosen; None: too low to be looked at.
        expected_false: Share of strangers expected among pairs of tracklets at least as similar as `similarity`.
        gap_seconds: From the end of the earlier to the begin of the later of the two; negative where they overlap.
    """

    left: int
    right: int
    similarity: float
    best: float
    runner_up: float | None
    expected_false: float
    gap_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Linked:
    """Global identities, and why.

    Attributes:
        global_id: (N,) identity of each tracklet, 1, 2, 3 .. in the order of the first tracklets.
        links: What was joined, the most similar first; must-links are not among them.
        threshold: The least mean similarity of groups that were joined; above 1 where nothing could be joined.
        max_false_links: What was asked for.
    """

    global_id: IntArray
    links: tuple[Link, ...]
    threshold: float
    max_false_links: float


def link(
    tracklets: Tracklets,
    calibration: Mapping[str, Any],
    *,
    max_false_links: float,
    travel_seconds: Travel | None = None,
    must: Pairs = (),
    cannot: Pairs = (),
) -> Linked:
    """Joins the tracklets of one person over cameras and gaps, and leaves apart what it cannot tell.

    One camera shows a person once at a time. What all people of a camera have in common is taken off their
    embeddings (`linking.camera_bias`), and similarities are those of what is left. The most similar groups are
    joined first, by the mean similarity of their pairs, down to the similarity at which strangers are expected to
    be `max_false_links` of the pairs. That follows from the model's calibration on persons it never saw, moved to
    the similarities of this footage, and from the number of tracklets: among more people there are more look-
    alikes, so the threshold rises. It is an estimate; `experiments/LOG.md` has what was observed.

    Args:
        tracklets: N tracklets of all cameras.
        calibration: Of the model that embedded them: `Embedder(...).metadata["calibration"]`.
        max_false_links: Largest share of joined pairs of tracklets that may show two persons, between 0 and 1.
        travel_seconds: Least and most seconds between two cameras, by pair of their numbers, the lower one first; needs
            cameras on one clock.
        must: Pairs of rows that are one person, whatever they look like.
        cannot: Pairs of rows that are two persons.

    Raises:
        ValueError: An argument is out of its range, the model was never calibrated, or `must` contradicts `cannot` or
            the times.

    Reference:
        Davidson and Ravi, Agglomerative Hierarchical Clustering with Constraints, PKDD 2005.
    """
    if not 0 < max_false_links < 1:
        raise ValueError(f"max_false_links: got {max_false_links}; expected between 0 and 1, such as 0.01")
    rows = len(tracklets)
    constraints, together = _known(tracklets, travel_seconds, must, cannot)
    seen = tracklets.replace(embedding=without_common(tracklets))
    groups = Groups(seen.embedding, constraints, together)
    strangers = chance(calibration, seen.embedding)
    near = candidates(seen, strangers)
    a, b, similarity = near.a, near.b, near.similarity
    share = false_shares(similarity, near.rank, strangers, rows * (rows - 1) // 2)
    kept = int(np.searchsorted(share, max_false_links, side="right"))
    threshold = float(similarity[kept - 1]) - _ROUNDING if kept else 2.0
    allowed = constraints.allow(a[:kept], b[:kept])
    merges = groups.join(a[:kept][allowed], b[:kept][allowed], threshold)
    place = np.searchsorted(-similarity, [-merge.similarity for merge in merges], side="right") - 1
    expected = share[np.maximum(place, 0)].tolist() if merges else []
    links = tuple(explain(merge, seen, one) for merge, one in zip(merges, expected))
    return Linked(_numbered(groups.groups(), rows), links, threshold, max_false_links)


def check_known(
    tracklets: Tracklets,
    *,
    travel_seconds: Travel | None = None,
    must: Pairs = (),
    cannot: Pairs = (),
    names: Sequence[str] | None = None,
) -> None:
    """Refuses what `link` would refuse of these, for which no embedding is needed.

    Args:
        tracklets: As for `link`, with any embeddings.
        travel_seconds: As for `link`.
        must: As for `link`.
        cannot: As for `link`.
        names: What the rows are called in a message; None: by row, track and camera.

    Raises:
        ValueError: A pair is no pair, or `must` contradicts `cannot` or the times.
    """
    _known(tracklets, travel_seconds, must, cannot, names)


def _known(
    tracklets: Tracklets,
    travel_seconds: Travel | None,
    must: Pairs,
    cannot: Pairs,
    names: Sequence[str] | None = None,
) -> tuple[Constraints, list[list[int]]]:
    """Returns who cannot be who, and the rows that are one person, group by group."""
    rows = len(tracklets)
    constraints = Constraints(tracklets, travel_seconds or {}, ordered(cannot, rows, what="cannot"))
    return constraints, _must_groups(ordered(must, rows, what="must"), constraints, names)


def candidates(tracklets: Tracklets, strangers: Chance) -> SimilarPairs:
    """Returns the pairs worth a look, the most similar first.

    Args:
        tracklets: The tracklets.
        strangers: The chance of strangers.
    """
    pairs = max(1, len(tracklets) * (len(tracklets) - 1) // 2)
    rate = _STRANGERS_EACH * max(1, len(tracklets)) / pairs
    return similar_pairs(tracklets.embedding, -1.1 if rate >= 0.5 else strangers.similarity_at(rate))


def _must_groups(
    must: frozenset[tuple[int, int]], constraints: Constraints, names: Sequence[str] | None
) -> list[list[int]]:
    """Returns the rows that must be one person, group by group."""
    if not must:
        return []
    rows = len(constraints.tracklets)
    one, other = np.array(sorted(must)).T
    _, label = connected_components(coo_matrix((np.ones(len(one)), (one, other)), shape=(rows, rows)), directed=False)
    groups = [np.flatnonzero(label == number) for number in np.unique(label[one])]
    for group in groups:
        a, b = (group[side] for side in np.triu_indices(len(group), 1))
        wrong = np.flatnonzero(~constraints.allow(a, b))
        if len(wrong):
            one, other = int(a[wrong[0]]), int(b[wrong[0]])
            raise ValueError(
                f"must: got {_called(constraints.tracklets, one, other, names)} as one person, which cannot be: "
                "`cannot` names them, or one camera shows both at a time, or the travel time does not fit; remove "
                "one of the two"
            )
    return [group.tolist() for group in groups]


def _called(tracklets: Tracklets, one: int, other: int, names: Sequence[str] | None) -> str:
    if names is not None:
        return f"'{names[one]}' and '{names[other]}'"
    tracks = (f"track {tracklets.track_id[row]} of camera {tracklets.camera_id[row]}" for row in (one, other))
    return f"rows {one} and {other}, {' and '.join(tracks)},"


def explain(merge: Merge, tracklets: Tracklets, expected_false: float) -> Link:
    """Returns why two groups were joined.

    Args:
        merge: What was joined.
        tracklets: The tracklets.
        expected_false: Share of strangers expected among pairs that are at least as similar.
    """
    left, right = np.array(merge.left), np.array(merge.right)
    table = tracklets.embedding[left] @ tracklets.embedding[right].T
    row, column = np.unravel_index(np.argmax(table), table.shape)
    a, b = int(left[row]), int(right[column])
    begin, end = tracklets.begin_seconds, tracklets.end_seconds
    return Link(
        left=a,
        right=b,
        similarity=merge.similarity,
        best=float(table[row, column]),
        runner_up=merge.runner_up,
        expected_false=expected_false,
        gap_seconds=float(max(begin[a], begin[b]) - min(end[a], end[b])),
    )


def _numbered(groups: list[list[int]], rows: int) -> IntArray:
    """Returns the identity of each row, numbered in the order of the first rows."""
    global_id = np.zeros(rows, dtype=np.int64)
    for number, group in enumerate(sorted(groups, key=min), start=1):
        global_id[group] = number
    return global_id
