"""What similarity means "the same person"? A threshold, chosen by how often it may be wrong about two people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mot_reid.metrics.retrieval import DISTRACTOR, JUNK
from mot_reid.metrics.verification import PairSimilarities, Roc, similarities_within

ROC_POINTS = 50


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold on cosine similarity and what it stands on. Rates are fractions.

    Attributes:
        threshold: Two embeddings are called the same person when their cosine similarity is at least this.
        false_match_rate: The rate that was asked for; the measured one is at most this.
        true_match_rate: Share of genuine pairs that match at the threshold.
        roc: Up to 50 points (threshold, false_match_rate, true_match_rate), thresholds rising.
        identities: Number of persons the pairs come from.
        genuine_pairs: Number of pairs of one person, seen by two cameras.
        impostor_pairs: Number of pairs of two persons.
    """

    threshold: float
    false_match_rate: float
    true_match_rate: float
    roc: tuple[tuple[float, float, float], ...]
    identities: int
    genuine_pairs: int
    impostor_pairs: int

    def to_dict(self) -> dict[str, Any]:
        """Returns plain numbers and lists, as stored in the checkpoint's JSON."""
        return asdict(self) | {"roc": [list(point) for point in self.roc]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Returns the calibration that `to_dict` wrote.

        Raises:
            ValueError: If a key is missing or unknown.
        """
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            wrong = ", ".join(sorted(expected ^ set(values)))
            raise ValueError(
                f"calibration: got missing or unknown keys: {wrong}; expected {', '.join(sorted(expected))}"
            )
        return cls(**{**values, "roc": tuple((float(t), float(f), float(g)) for t, f, g in values["roc"])})


def calibrate(
    embedding: ArrayLike,
    *,
    person_id: ArrayLike,
    camera_id: ArrayLike | None = None,
    source: ArrayLike | None = None,
    false_match_rate: float = 1e-3,
) -> Calibration:
    """Returns the lowest threshold at which at most the given share of pairs of two persons is taken for one.

    Genuine pairs are of one person seen by two cameras, impostor pairs are all pairs of two persons (see
    `verification`). Use identities the network was not trained on: on its own training identities the pairs lie apart
    further than on anybody else, and the threshold comes out wrong.

    How far to trust it: pairs that share a person are not independent, so the number of identities counts more than
    that of pairs. A rate of 1e-3 wants some 50 identities at least; with fewer, read the threshold as a guess. The
    rate is that of random pairs of people; people in one video are dressed for one day and place and may well be more
    alike.

    Args:
        embedding: (N, D) of held-out identities, any length.
        person_id: (N,) integers; -1 is junk, 0 a distractor (impostor to everybody known).
        camera_id: (N,) integers, or None when cameras are unknown.
        source: (N,) integers: which data set each image is of, or None for one. Only pairs of one data set count:
            people of two are easily told apart by their surroundings, and would make the threshold too low.
        false_match_rate: Share of impostor pairs that may match, between 0 and 1.

    Raises:
        ValueError: If the rate is out of range, or too small for the number of impostor pairs to show it, or there is
            no genuine pair.

    Reference:
        ISO/IEC 19795-1 (false and true match rate); Mansfield and Wayman, Best Practices in Testing and Reporting
        Performance of Biometric Devices, 2002, appendix B (how many pairs are enough).
    """
    if not 0 < false_match_rate < 1:
        raise ValueError(f"false_match_rate: got {false_match_rate}; expected between 0 and 1, such as 0.001")
    roc = _similarities(np.asarray(embedding), person_id, camera_id, source).roc()
    if roc.impostor * false_match_rate < 1:
        raise ValueError(
            f"false_match_rate: got {false_match_rate:g} with {roc.impostor} impostor pairs; expected at least "
            f"{int(np.ceil(1 / false_match_rate))} pairs, so that one may match; give more identities or a larger rate"
        )
    chosen = roc.at(false_match_rate)
    people = np.unique(np.asarray(person_id))
    return Calibration(
        threshold=float(roc.threshold[chosen]),
        false_match_rate=float(false_match_rate),
        true_match_rate=float(roc.true_match_rate[chosen]),
        roc=roc_points(roc),
        identities=int(np.isin(people, (JUNK, DISTRACTOR), invert=True).sum()),
        genuine_pairs=roc.genuine,
        impostor_pairs=roc.impostor,
    )


def _similarities(
    embedding: NDArray[Any], person_id: ArrayLike, camera_id: ArrayLike | None, source: ArrayLike | None
) -> PairSimilarities:
    """The pairs within each source, together."""
    of = np.zeros(len(embedding), dtype=np.int64) if source is None else np.asarray(source)
    person, camera = np.asarray(person_id), None if camera_id is None else np.asarray(camera_id)
    found = [
        similarities_within(
            embedding[of == one], person_id=person[of == one], camera_id=None if camera is None else camera[of == one]
        )
        for one in np.unique(of)
    ]
    genuine = np.sum([pairs.genuine for pairs in found], axis=0)
    return PairSimilarities(genuine, np.sum([pairs.impostor for pairs in found], axis=0))


def roc_points(roc: Roc) -> tuple[tuple[float, float, float], ...]:
    """Returns points at false-match rates evenly spaced on a logarithmic axis, from all impostors to a single one.

    Args:
        roc: Rates of all thresholds.
    """
    index = np.unique([roc.at(rate) for rate in np.geomspace(1, 1 / roc.impostor, ROC_POINTS)])
    columns = (roc.threshold[index], roc.false_match_rate[index], roc.true_match_rate[index])
    return tuple((float(t), float(f), float(g)) for t, f, g in zip(*columns))
