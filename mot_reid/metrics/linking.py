"""How well do global identities join the tracklets of one person, over cameras and over gaps?

Pairs, B-cubed, IDF1 and HOTA of identities, when it is known who each tracklet shows. Every score is a ratio of sums
over persons, so that an interval can be drawn by resampling persons. Where the boxes are to be scored as well,
`end_to_end` turns the tables of several cameras into one for `evaluate_mot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.metrics.bootstrap import Interval, draw_counts, percentile_intervals
from mot_reid.metrics.retrieval import DISTRACTOR
from mot_reid.structures import TrackTable


@dataclass(frozen=True, slots=True, eq=False)
class LinkScores:
    """Sums per person, and the scores that they give. Arrays are (P,); a distractor is a person of its own.

    A pair is two tracklets. A false pair counts half for either of its persons. Pairs of two distractors are not
    counted, since nobody knows whether they show one person.

    Attributes:
        person_id: Who; 0 for each distractor.
        tracklets: Number of tracklets.
        boxes: Number of boxes, over all tracklets.
        true_pairs: Pairs of tracklets of the person.
        correct_pairs: Those that share a global identity.
        false_pairs: Pairs with another person that share a global identity.
        bcubed_precision: Summed over the tracklets: the share of the tracklet's identity that shows the person.
        bcubed_recall: Summed over the tracklets: the share of the person that is in the tracklet's identity.
        idtp: Boxes on the right person under the best one-to-one naming of persons and identities.
        association: Summed over the boxes: what HOTA's AssA averages.
    """

    person_id: IntArray
    tracklets: IntArray
    boxes: IntArray
    true_pairs: IntArray
    correct_pairs: IntArray
    false_pairs: FloatArray
    bcubed_precision: FloatArray
    bcubed_recall: FloatArray
    idtp: IntArray
    association: FloatArray

    @property
    def precision(self) -> float:
        """Share of the joined pairs that show one person; 1 where nothing is joined."""
        return self.to_dict()["precision"]

    @property
    def recall(self) -> float:
        """Share of the pairs of one person that are joined; 1 where there are none."""
        return self.to_dict()["recall"]

    @property
    def false_share(self) -> float:
        """Share of the joined pairs that show two persons."""
        return 1 - self.precision

    def to_dict(self) -> dict[str, float]:
        """Returns all scores, as fractions: pairs, B-cubed, IDF1 and HOTA."""
        return dict(zip(_NAMES, _scores(self, np.ones((1, len(self.person_id))))[0].tolist()))

    def intervals(
        self, *, samples: int = 1000, confidence: float = 0.95, seed: int | np.random.Generator = 0
    ) -> dict[str, Interval]:
        """Returns percentile intervals of all scores from resampled persons.

        Args:
            samples: How often the persons are drawn, with replacement.
            confidence: Share of the samples inside the interval.
            seed: Seed, or generator to draw from.

        Raises:
            ValueError: If an option is out of range.
        """
        drawn = draw_counts(len(self.person_id), samples=samples, seed=seed)
        return dict(zip(_NAMES, percentile_intervals(_scores(self, drawn), confidence=confidence)))


_NAMES = ("precision", "recall", "f1", "bcubed_precision", "bcubed_recall", "bcubed_f1", "idf1", "assa", "hota")


def evaluate_links(person_id: ArrayLike, global_id: ArrayLike, *, boxes: ArrayLike | None = None) -> LinkScores:
    """Returns how well global identities join the tracklets of one person.

    The boxes are taken as correct, so HOTA's detection accuracy is 1 and HOTA is the root of AssA.

    Args:
        person_id: (N,) who each tracklet shows; 0 is a distractor, somebody else in every row.
        global_id: (N,) which identity it was given.
        boxes: (N,) number of boxes of each tracklet, the weights of IDF1 and HOTA; 1 each if None.

    Raises:
        ValueError: If lengths differ, there is no tracklet, an id is negative or a tracklet has no box.

    Reference:
        Bagga and Baldwin, Entity-Based Cross-Document Coreferencing Using the Vector Space Model, COLING-ACL 1998
        (B-cubed; ours averages over the tracklets of known persons); Ristani et al., Performance Measures and a Data
        Set for Multi-Target, Multi-Camera Tracking, ECCV Workshops 2016 (IDF1); Luiten et al., HOTA, IJCV 2021.
    """
    given, found = np.asarray(person_id), np.asarray(global_id)
    weight = np.ones(len(given), np.int64) if boxes is None else np.asarray(boxes)
    _check(given, found, weight)
    distractor = given == DISTRACTOR
    own = np.where(distractor, -1 - np.arange(len(given)), given)
    names, person = np.unique(own, return_inverse=True)
    identities, identity = np.unique(found, return_inverse=True)
    together = _Table.of(person, identity, np.ones(len(given)), shape=(len(names), len(identities)))
    weighted = _Table.of(person, identity, weight.astype(float), shape=(len(names), len(identities)))
    known = names >= 0
    size = np.bincount(person)
    of_identity = np.bincount(identity)
    unknown = np.bincount(identity, weights=distractor)
    others = of_identity[together.column] - together.count
    others -= np.where(known[together.row], 0, unknown[together.column] - 1)
    return LinkScores(
        person_id=np.where(known, names, DISTRACTOR),
        tracklets=size,
        boxes=np.bincount(person, weights=weight).astype(np.int64),
        true_pairs=size * (size - 1) // 2,
        correct_pairs=together.by_person(together.count * (together.count - 1) / 2).astype(np.int64),
        false_pairs=together.by_person(together.count * others / 2),
        bcubed_precision=np.where(known, together.by_person(together.count**2 / of_identity[together.column]), 0),
        bcubed_recall=np.where(known, together.by_person(together.count**2 / size[together.row]), 0),
        idtp=_named_right(weighted),
        association=weighted.by_person(
            weighted.count**2
            / (weighted.person_total[weighted.row] + weighted.identity_total[weighted.column] - weighted.count)
        ),
    )


def end_to_end(tables: Mapping[str, TrackTable], *, lengths: Mapping[str, int] | None = None) -> TrackTable:
    """Returns the tables of several cameras as one, one camera after the other, with the identities as they are.

    `evaluate_mot` of the ground truth and the result, each put end to end, scores boxes and global identities together.

    Args:
        tables: By name of the camera; ground truth and result need the same names and lengths.
        lengths: Number of frames by name; the last frame with a box where not given.

    Raises:
        ValueError: If a frame lies beyond the given length.
    """
    shift, parts = 0, []
    for name in sorted(tables):
        table = tables[name]
        last = int(table.frame.max()) if len(table) else 0
        length = (lengths or {}).get(name, last)
        if last > length:
            raise ValueError(f"{name}: got frame {last}; expected at most {length}, the length of the video")
        parts.append(table.replace(frame=table.frame + shift))
        shift += length
    return TrackTable.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """How much of each person is in each identity: the cells that are not empty."""

    row: IntArray
    column: IntArray
    count: FloatArray
    person_total: FloatArray
    identity_total: FloatArray

    @classmethod
    def of(cls, person: IntArray, identity: IntArray, weight: FloatArray, *, shape: tuple[int, int]) -> _Table:
        cells = coo_matrix((weight.astype(float), (person, identity)), shape=shape)
        cells.sum_duplicates()
        row, column = cells.row.astype(np.int64), cells.col.astype(np.int64)
        of_rows, of_columns = (_sums(side, cells.data, n) for side, n in zip((row, column), shape))
        return cls(row, column, cells.data, of_rows, of_columns)

    def by_person(self, value: FloatArray) -> FloatArray:
        """Returns the sum over the cells of each person."""
        return _sums(self.row, value, len(self.person_total))


def _sums(group: IntArray, value: FloatArray, groups: int) -> FloatArray:
    return np.bincount(group, weights=value, minlength=groups).astype(np.float64)


def _named_right(table: _Table) -> IntArray:
    """Returns the boxes of each person on the identity that is named for it, in the naming that gets most boxes right.

    Persons and identities fall into groups that share no cell, each of which is solved alone.
    """
    people, identities = len(table.person_total), len(table.identity_total)
    nodes = people + identities
    graph = coo_matrix((np.ones(len(table.row)), (table.row, people + table.column)), shape=(nodes, nodes))
    group = connected_components(graph, directed=False)[1][table.row]
    right = np.zeros(people, dtype=np.int64)
    order = np.argsort(group, kind="stable")
    for cells in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        rows, row = np.unique(table.row[cells], return_inverse=True)
        columns, column = np.unique(table.column[cells], return_inverse=True)
        dense = np.zeros((len(rows), len(columns)))
        dense[row, column] = table.count[cells]
        chosen = linear_sum_assignment(dense, maximize=True)
        right[rows[chosen[0]]] = dense[chosen]
    return right


def _scores(sums: LinkScores, drawn: FloatArray | IntArray) -> FloatArray:
    """Returns (samples, 9): the scores when each person counts as often as it was drawn."""
    known = sums.person_id != DISTRACTOR

    def total(values: FloatArray | IntArray) -> FloatArray:
        return np.asarray(drawn @ values, dtype=float)

    correct, known_tracklets = total(sums.correct_pairs), total(sums.tracklets * known)
    precision = _ratio(correct, correct + total(sums.false_pairs))
    recall = _ratio(correct, total(sums.true_pairs))
    b_precision = _ratio(total(sums.bcubed_precision), known_tracklets)
    b_recall = _ratio(total(sums.bcubed_recall), known_tracklets)
    boxes = total(sums.boxes)
    assa = _ratio(total(sums.association), boxes)
    columns = [
        precision, recall, _harmonic(precision, recall), b_precision, b_recall, _harmonic(b_precision, b_recall),
        _ratio(total(sums.idtp), boxes), assa, np.sqrt(assa),
    ]  # fmt: skip
    return np.stack(columns, axis=1)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Returns part / whole, and 1 where there is nothing of which it could be a part."""
    return np.divide(part, whole, out=np.ones_like(part), where=whole > 0)


def _harmonic(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.divide(2 * a * b, a + b, out=np.zeros_like(a), where=a + b > 0)


def _check(person: IntArray, identity: IntArray, weight: NDArray[Any]) -> None:
    if not person.shape == identity.shape == weight.shape or person.ndim != 1 or not len(person):
        raise ValueError(
            f"evaluate_links: got shapes {person.shape}, {identity.shape} and {weight.shape}; expected person_id, "
            "global_id and boxes of one length, and at least one tracklet"
        )
    for name, values, least in (("person_id", person, 0), ("global_id", identity, 0), ("boxes", weight, 1)):
        if values.dtype.kind not in "iu" or values.min() < least:
            raise ValueError(f"{name}: got {values.min()} ({values.dtype}); expected whole numbers of at least {least}")
