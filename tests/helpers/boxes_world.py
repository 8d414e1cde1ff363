"""Seeded worlds of boxes for the trackers: people who walk, hide and cross, in general position (no exact ties)."""

from __future__ import annotations

import numpy as np

from mot_reid import Detections


def walking_people(
    seed: int, *, people: int = 6, frames: int = 25, classes: int = 1, embedding: int = 0, twins: bool = False
) -> list[Detections]:
    """Returns what a detector says: boxes missing and of low score at times.

    Args:
        seed: of everything.
        classes: person i is of class `i % classes`.
        embedding: size of the embeddings, noisy but distinct per person; 0 gives none.
        twins: whether a box is given twice at times. Twin tracks are equal in everything, so which of them goes on is
            a tie.
    """
    rng = np.random.default_rng(seed)
    height = rng.uniform(60, 140, people)
    size = np.stack([height * rng.uniform(0.35, 0.5, people), height], axis=1)
    centre, speed = rng.uniform(100, 500, (people, 2)), rng.normal(0, 6, (people, 2))
    face = _unit(rng.normal(size=(people, max(embedding, 1))))
    out = []
    for _ in range(frames):
        centre = centre + speed + rng.normal(0, 0.5, centre.shape)
        found = rng.random(people) < 0.9
        who = np.flatnonzero(found)
        xyxy = np.hstack([centre - size / 2, centre + size / 2])[who] + rng.normal(0, 1, (len(who), 4))
        score = np.where(rng.random(len(who)) < 0.2, rng.uniform(0.15, 0.55, len(who)), rng.uniform(0.7, 1, len(who)))
        look = _unit(face[who] + 0.1 * rng.normal(size=(len(who), face.shape[1])))
        class_id = who % classes
        if twins and rng.random() < 0.3 and len(who):
            again = np.append(np.arange(len(who)), 0)
            xyxy, score, class_id, look = xyxy[again], score[again], class_id[again], look[again]
        out.append(Detections(xyxy, score, class_id, look if embedding else None))
    return out


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
