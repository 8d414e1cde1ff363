"""Refinement after the last frame: looks are kept while tracks are reported, and the video is drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.pipeline.steps import Step, Stopwatch
from mot_reid.refinement.refine import choose_parts, refine
from mot_reid.settings.load import ConfigError
from mot_reid.structures import Tracks, TrackTable

if TYPE_CHECKING:
    from mot_reid.data.video import Frame

_EVERY = 5  # frames from one embedding of a track to the next
_THRESHOLD = 0.5  # where a model was never calibrated


class _Embeds(Protocol):
    threshold: float | None

    def __call__(self, image: Image, xyxy: FloatArray) -> Float32Array: ...


class _Writes(Protocol):
    stopped: str | None

    def write(self, picture: Image, number: int) -> None: ...


class Looks:
    """The embedding of every reported box: the tracker's where there is one, else a new one in every fifth frame."""

    def __init__(self, embedder: _Embeds | None) -> None:
        """Keeps what embeds.

        Args:
            embedder: `(image, xyxy) -> (N, D)`; None: looks are not compared.
        """
        self._embedder, self._rows = embedder, []  # type: tuple[_Embeds | None, list[Float32Array | int]]

    @property
    def threshold(self) -> float:
        """Least cosine similarity of one person."""
        given = None if self._embedder is None else self._embedder.threshold
        return _THRESHOLD if given is None else given

    def add(self, step: Step) -> None:
        """Takes the tracks of the next frame."""
        tracks, known = step.tracks, step.detections.embedding
        if self._embedder is None or not len(tracks):
            self._rows.append(len(tracks))
        elif known is not None and tracks.detection is not None:
            self._rows.append(known[tracks.detection])
        elif step.number % _EVERY == 1:
            self._rows.append(self._embedder(step.image, tracks.xyxy))
        else:
            self._rows.append(len(tracks))

    def table(self) -> Float32Array | None:
        """Returns (M, D) embeddings in the order of the reported rows, NaN where there is none; None without any."""
        widths = [rows.shape[1] for rows in self._rows if not isinstance(rows, int)]
        if not widths:
            return None
        blank = (
            np.full((rows, widths[0]), np.nan, np.float32) if isinstance(rows, int) else rows for rows in self._rows
        )
        return np.concatenate(list(blank))


def refuse_live(source: str, *, live: bool) -> None:
    """Refuses what has no end.

    Raises:
        ConfigError: the source is a camera or a stream.
    """
    if live:
        raise ConfigError(f"refine: got it for '{source}', which is live; expected a video that ends; leave it out")


def mended(
    table: TrackTable, looks: Looks, parts: tuple[str, ...], *, frame_rate: float
) -> tuple[TrackTable, dict[str, Any]]:
    """Returns the refined table, and what a summary says of it.

    Args:
        table: all that the tracker reported, in its order.
        looks: of the same rows.
        parts: what is done.
        frame_rate: frames per second.

    Raises:
        ConfigError: a part cannot be done.
    """
    embedding = looks.table()
    try:
        chosen = choose_parts(parts, with_embedding=embedding is not None)
        found = refine(table, chosen, embedding=embedding, threshold=looks.threshold, frame_rate=frame_rate)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    filled = 0 if found.filled is None else int(found.filled.sum())
    told = {"offline": True, "parts": list(chosen), "tracks_before": len(np.unique(table.track_id))}
    return found, {"refined": told | {"boxes_filled": filled}}


def redraw(
    frames: Iterable[Frame],
    table: TrackTable,
    annotate: Callable[[Image, Tracks], Image],
    video: _Writes,
    watch: Stopwatch,
) -> None:
    """Draws the refined tracks in a second pass over the frames.

    Args:
        frames: of the video, from its start.
        table: the refined tracks.
        annotate: draws tracks on an image.
        video: takes the pictures.
        watch: counts the stages `draw` and `write`.
    """
    tracks = tracks_by_frame(table)
    for frame in frames:
        if video.stopped is not None:
            return
        with watch("draw"):
            picture = annotate(frame.image, tracks.get(frame.number, Tracks.empty()))
        with watch("write"):
            video.write(picture, frame.number)


def tracks_by_frame(table: TrackTable) -> dict[int, Tracks]:
    """Returns the tracks of each frame that has any, by its number.

    Args:
        table: of a sequence.
    """
    score = np.clip(table.score, 0, 1)
    return {
        number: Tracks(table.xyxy[rows], table.track_id[rows], score[rows], table.class_id[rows])
        for number, rows in table.rows_by_frame().items()
    }
