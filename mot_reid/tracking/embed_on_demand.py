"""Where embeddings come from, and for which boxes they are worth computing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import Float32Array, FloatArray, Image, IntArray
from mot_reid.settings.tracker_parameters import USE_EMBEDDINGS, AppearanceMode
from mot_reid.tracking.costs import Pairs
from mot_reid.tracking.matching import Boxes
from mot_reid.tracking.memory import Embeddings
from mot_reid.tracking.presets import Preset
from mot_reid.tracking.store import Store

EmbedderLike = Callable[[Image, FloatArray], ArrayLike]

_log = logging.getLogger(__name__)

_DEFAULT_GATE = 0.5


class EmbeddingSource:
    """The embedder of a tracker, if it has one, and when to ask it."""

    def __init__(
        self,
        reid: str | os.PathLike[str] | EmbedderLike | None,
        mode: AppearanceMode,
        *,
        preset: Preset,
        frame_rate: float,
    ) -> None:
        if mode not in get_args(AppearanceMode):
            raise ValueError(f"appearance: got '{mode}'; expected one of {', '.join(get_args(AppearanceMode))}")
        if reid is not None and preset.appearance is None:
            raise ValueError(
                f"reid: preset '{preset.name}' does not use appearance; expected {' or '.join(USE_EMBEDDINGS)}"
            )
        if isinstance(reid, (str, os.PathLike)):
            # The one lazy edge from tracking to reid: only here is torch loaded.
            from mot_reid.reid.embedder import Embedder

            reid = Embedder(reid, runtime="auto")
        if reid is not None and not callable(reid):
            raise ValueError(
                f"reid: got {type(reid).__name__}; expected a checkpoint, or a callable (image, xyxy) -> embeddings"
            )
        if mode == "always" and reid is None:
            raise ValueError("appearance: got 'always' without reid; expected reid=MODEL to compute embeddings")
        self.embedder: EmbedderLike | None = reid
        self.mode = "always" if preset.appearance is not None and preset.appearance.always else mode
        threshold = getattr(reid, "threshold", None)
        look = preset.appearance
        wanted = look.gate if look else None
        self.gate = float(wanted if wanted is not None else threshold if threshold is not None else _DEFAULT_GATE)
        if look and wanted is None and threshold is None and reid is not None:
            _log.warning(
                "reid: the model has no calibrated threshold; using a gate of %g; set gate=, or train with "
                "data.validation above 0, which calibrates one",
                _DEFAULT_GATE,
            )
        self.refresh = look.refresh * frame_rate / 30 if look else 0.0
        self._limit = preset.stages[0].limit
        # Who is named at first sight can be recognised only if embedded at first sight.
        named_at_once = look is not None and look.max_lost_seconds > 0 and preset.life.reports_tentative
        self._newcomers_from = (preset.life.birth or 0.0) if named_at_once else np.inf

    def columns(self, boxes: Boxes, pairs: Pairs, store: Store, *, embeddings: Embeddings, clock: float) -> IntArray:
        """Returns the boxes of the high band whose embedding is worth its price.

        On demand these are boxes with several tracks in reach, boxes whose track has several boxes in reach, boxes in
        reach of a lost track, and boxes of a track that has no embedding yet (a new one, at its second sight) or one
        older than `refresh` frames. Where people are named at first sight and recognised, boxes that begin a track.
        """
        if self.mode == "always":
            return np.arange(boxes.high)
        near = (pairs.column < boxes.high) & (1.0 - pairs.iou * boxes.score.take(pairs.column) < self._limit)
        row, column = pairs.row[near], pairs.column[near]
        new = (boxes.score[: boxes.high] >= self._newcomers_from).nonzero()[0]
        new = new[~np.isin(new, column)]
        if not len(row):
            return new
        open_track = (store.missed > 0) | (clock - embeddings.updated >= self.refresh)
        open_track |= np.bincount(row, minlength=len(store)) > 1
        asked = open_track[row] | (np.bincount(column)[column] > 1)
        return np.unique(np.concatenate((column[asked], new)))

    def embed(self, image: Image, boxes: Boxes, columns: IntArray) -> Float32Array:
        """Returns `(m, D)` unit embeddings of the boxes at `columns`, NaN for the others.

        Raises:
            ValueError: if the embedder does not answer with one finite vector per box.
        """
        assert self.embedder is not None
        answer = np.asarray(self.embedder(image, boxes.xyxy.T[columns]), dtype=np.float32)
        if answer.ndim != 2 or len(answer) != len(columns) or not np.isfinite(answer).all():
            raise ValueError(
                f"reid: got shape {answer.shape} for {len(columns)} boxes; expected one finite vector per box"
            )
        norm = np.linalg.norm(answer, axis=1, keepdims=True)
        full = np.full((len(boxes.score), answer.shape[1]), np.nan, np.float32)
        full[columns] = answer / np.maximum(norm, 1e-12)
        return full
