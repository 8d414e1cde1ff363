"""All that a model's embeddings of a data set are worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mot_reid.arrays import Float32Array
from mot_reid.evaluation.people import People
from mot_reid.metrics.retrieval import AveragePrecision, Metric
from mot_reid.metrics.scores import Scores, score_rankings, verification_scores
from mot_reid.metrics.verification import PairSimilarities, similarities_between


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What was measured, and on whom.

    Attributes:
        people: Queries and gallery.
        query: (Q, D) their embeddings.
        gallery: (G, D) embeddings of the gallery.
        scores: By the way of ranking, as `score_rankings` names them.
        pairs: Similarities of all pairs.
        verified: As `verification_scores`.
    """

    people: People
    query: Float32Array
    gallery: Float32Array
    scores: dict[str, Scores]
    pairs: PairSimilarities
    verified: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Returns the plain scores as fractions, the others below their names, and what they were measured on."""
        content = self.scores["plain"].to_dict()
        content |= {name: found.to_dict() for name, found in self.scores.items() if name != "plain"}
        content["verification"] = self.verified
        content["data"] = {
            "kind": self.people.kind,
            "root": self.people.root,
            "split": self.people.split,
            "queries": len(self.people.query),
            "valid_queries": int(self.scores["plain"].result.valid.sum()),
            "gallery": len(self.people.gallery),
        }
        return content


def score_people(
    people: People,
    embedding: Float32Array,
    *,
    calibration: Mapping[str, Any] | None = None,
    neighbours: int = 0,
    reciprocal: int = 0,
    samples: int = 0,
    metric: Metric = "cosine",
    average_precision: AveragePrecision = "plain",
) -> Scored:
    """Returns the scores of a model on people.

    Args:
        people: Queries and gallery.
        embedding: (Q + G, D), queries first.
        calibration: Of the model.
        neighbours: As in `score_rankings`, as are all that follow.
        reciprocal: Neighbourhood of re-ranking; 0 for none.
        samples: Of the bootstrap; 0 for none.
        metric: Of the rankings.
        average_precision: Which of the two definitions.
    """
    query, gallery = embedding[: len(people.query)], embedding[len(people.query) :]
    scores = score_rankings(
        query,
        gallery,
        **people.ids,
        neighbours=neighbours,
        reciprocal=reciprocal,
        samples=samples,
        metric=metric,
        average_precision=average_precision,
    )
    pairs = similarities_between(query, gallery, **people.ids)
    return Scored(people, query, gallery, scores, pairs, verification_scores(pairs, calibration))
