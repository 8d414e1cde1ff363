"""Embeddings ahead of the tracker: those of a batch of frames together, while earlier frames are associated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mot_reid.arrays import BoolArray, Float32Array, FloatArray, Image
from mot_reid.structures import Detections

EmbedMany = Callable[[Sequence[Image], Sequence[FloatArray]], Sequence[Float32Array]]


class EmbedAhead:
    """Gives detections their embeddings, for a tracker that wants those of every box anyway (`appearance="always"`)."""

    def __init__(self, embed: EmbedMany, *, above: float | None) -> None:
        """Keeps what embeds.

        Args:
            embed: `(images, boxes of each) -> embeddings of each`, as `Embedder.many`.
            above: the score above which a box is embedded; None: all are.
        """
        self._embed, self._above = embed, -1.0 if above is None else above

    def __call__(self, images: list[Image], detections: list[Detections]) -> list[Detections]:
        """Returns the detections with an embedding for each box above the limit, and NaN for the others."""
        wanted = [found.score > self._above for found in detections]
        if not any(rows.any() for rows in wanted):
            return detections
        answers = self._embed(images, [found.xyxy[rows] for found, rows in zip(detections, wanted, strict=True)])
        return [
            replace(found, embedding=_spread(answer, rows))
            for found, rows, answer in zip(detections, wanted, answers, strict=True)
        ]


def _spread(answer: Float32Array, rows: BoolArray) -> Float32Array:
    full = np.full((len(rows), answer.shape[1]), np.nan, np.float32)
    full[rows] = answer
    return full
